"""Every architecture on every encoder trains, saves, loads, resumes and exports. The full grid: make test-models."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from edgeseg.core.spec import PRECISIONS, ModelSpec
from edgeseg.export.exporter import export
from edgeseg.export.settings import ExportSettings
from edgeseg.export.tensorrt_check import library_at_hand
from edgeseg.models.build import load_model
from edgeseg.models.depthwise import DepthwiseConv2DTranspose
from edgeseg.models.options import NetworkOptions
from edgeseg.models.registry import ARCHITECTURES
from edgeseg.tf import keras
from edgeseg.training.run_directory import RunDirectory, checkpoints_in
from edgeseg.training.train import train
from tests.helpers.training import tiny_settings, write_camvid, write_untrained

WIDTHS = {"vgg16": 0.0625, "unet": 0.0625, "compact": 0.25, "mobilenet_v2": 0.25, "mobilenet_v3": 0.25}
QUICK = {
    ("fcn8", "compact"),
    ("fcn8", "efficientnet_lite0"),
    ("fcn16", "compact"),
    ("fcn32", "vgg16"),
    ("unet", "unet"),
}
LOGIT_ERRORS = {"fp32": 1e-3, "fp16": 0.02, "int8": 0.5}  # of their range


def grid(quick: set[tuple[str, str]]) -> list[Any]:
    """Every architecture on every encoder; all but the quick ones only by make test-models."""
    names = [(name, encoder) for name, each in ARCHITECTURES.items() for encoder in each.encoders]
    marks = {False: [pytest.mark.models], True: []}
    return [pytest.param(*each, id="-".join(each), marks=marks[each in quick]) for each in names]


TRANSPOSED = (keras.layers.Conv2DTranspose, DepthwiseConv2DTranspose)
OPTIONS: list[dict[str, Any]] = [
    {"model": "fcn8", "decoder": "wide"},
    {"model": "fcn8", "batch_norm": "off", "skip_scales": "published", "freeze_upsampling": True},
    {"model": "unet", "levels": 4},
    {"model": "unet", "encoder": "compact", "width": 0.25, "score_stride": 4},
    {"model": "unet", "encoder": "efficientnet_lite0", "decoder": "light", "score_stride": 4},
    {"model": "fcn8", "encoder": "compact", "width": 0.25, "upsampling_kernel": "dense"},
]


@pytest.fixture(scope="module")
def camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_camvid(tmp_path_factory.mktemp("data") / "camvid", train=4, val=2)


@pytest.fixture(autouse=True)
def _memory() -> Iterator[None]:
    yield
    keras.backend.clear_session()


@pytest.mark.parametrize(("architecture", "encoder"), grid({("fcn16", "mobilenet_v2")}))
def test_it_exports_in_every_precision(architecture: str, encoder: str, camvid: Path, tmp_path: Path) -> None:
    """Untrained: pixels say nothing there, since logits tie; the logits themselves do."""
    settings = tiny_settings(camvid, model=architecture, encoder=encoder, width=WIDTHS.get(encoder, 0.0))
    run = write_untrained(settings, tmp_path / "run")
    anything: dict[str, Any] = {"equal_pixels": 0.0, "miou_loss": 100.0, "check_frames": 1, "calibrate_frames": 2}
    for precision in PRECISIONS:
        report = export(run, tmp_path / f"{precision}.onnx", ExportSettings(precision=precision, **anything))
        assert report.parity.logit_error < LOGIT_ERRORS[precision] * report.parity.logit_range, precision
        assert not any(report.tensorrt.refused_by_rules.values()), precision
        if library_at_hand():
            assert report.tensorrt.accepted, report.tensorrt
            assert report.tensorrt.layers["DECONVOLUTION"] == len(report.upsampling) > 0
    if not library_at_hand():
        pytest.skip("exported; neither tensorrt nor tensorrt_rtx is installed to parse it: x86-64 Linux has wheels")


@pytest.mark.parametrize(("architecture", "encoder"), grid(QUICK))
def test_it_trains_resumes_and_exports(architecture: str, encoder: str, camvid: Path, tmp_path: Path) -> None:
    check_network(camvid, tmp_path, model=architecture, encoder=encoder, width=WIDTHS.get(encoder, 0.0))


@pytest.mark.models
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options.values())))
def test_variants_train_resume_and_export(options: dict[str, Any], camvid: Path, tmp_path: Path) -> None:
    check_network(camvid, tmp_path, **options)


def check_network(camvid: Path, tmp_path: Path, **options: Any) -> None:
    """Two epochs of one step; the second again from the first's checkpoint, as after a kill; then the ONNX file."""
    out, target = tmp_path / "run", tmp_path / "model.onnx"
    settings = tiny_settings(camvid, **{"batch_norm": "auto", "optimizer": "sgd", **options})
    result, first = train_quietly(settings, out), epochs(out)
    assert (result.steps, len(first)) == (2, 2)
    weights_before = load_model(out / "model.keras").get_weights()

    newest = checkpoints_in(out / "checkpoints")[0]
    for path in newest.parent.glob(f"{newest.name}.*"):
        path.unlink()
    assert train_quietly(settings, out, resume=True).steps == 2
    again = epochs(out)
    assert [epoch.step for epoch in again] == [1, 2]
    np.testing.assert_allclose([epoch.loss for epoch in again], [epoch.loss for epoch in first], rtol=1e-3)

    model = load_model(out / "model.keras")
    for weight, before in zip(model.get_weights(), weights_before, strict=True):
        np.testing.assert_allclose(weight, before, rtol=0.05, atol=0.02)
    spec = ModelSpec.read(out / "spec.json")
    assert NetworkOptions.from_spec(spec) == settings.network()
    report = export(out, target, ExportSettings())
    assert report.parity.equal_pixels > 0.999
    assert len(report.upsampling) == sum(isinstance(x, TRANSPOSED) for x in model.layers)
    assert report.tensorrt.accepted or not library_at_hand()


def train_quietly(settings: Any, out: Path, resume: bool = False) -> Any:
    return train(settings, out, resume, Console(file=io.StringIO()))


def epochs(out: Path) -> list[Any]:
    return RunDirectory(out).read_history(until_step=10**9)
