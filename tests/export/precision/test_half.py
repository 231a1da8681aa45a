"""fp16 is computed in float16: what it cannot hold is found, named and kept in float32, or the file is refused."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgeseg.core.errors import ModelError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.export.export_report import ExportReport
from edgeseg.export.exporter import export
from edgeseg.export.network import onnx_from_keras
from edgeseg.export.onnx_file import OnnxFile
from edgeseg.export.precision.half import to_half
from edgeseg.export.precision.half_layers import Halver
from edgeseg.export.precision.sibling import float32_sibling
from edgeseg.export.settings import ExportSettings
from edgeseg.export.tensorrt_check import library_at_hand
from edgeseg.models.build import build_model, seed_weights
from edgeseg.tf import keras
from tests.helpers.colour_model import COLOUR_SPEC
from tests.helpers.training import tiny_settings, write_camvid, write_untrained

SPEC = dataclasses.replace(COLOUR_SPEC, input_size=Size(32, 32))
PIXELS = np.random.default_rng(3).normal(size=(1, 3, 32, 32)).astype(np.float32)


def half_of(network: onnx.ModelProto, keep: set[str] | None = None) -> onnx.ModelProto:
    half = onnx.ModelProto()
    half.CopyFrom(network)
    to_half(half, keep or set())
    onnx.checker.check_model(half, full_check=True)
    return half


def logits_of(model: onnx.ModelProto) -> np.ndarray:
    return np.asarray(OnnxFile(model).run(PIXELS)["logits"])


@pytest.fixture(scope="module")
def network() -> onnx.ModelProto:
    seed_weights(0)
    return onnx_from_keras(build_model("fcn8", SPEC.input_size, 3, encoder="compact", width=0.25), SPEC)


def test_the_sibling_rounds_as_the_reference_evaluator_does(network: onnx.ModelProto) -> None:
    half = half_of(network)
    wanted = np.asarray(ReferenceEvaluator(half).run(None, {"pixels": PIXELS})[0])
    found, exact = logits_of(float32_sibling(half)), logits_of(network)
    rounding = float(np.abs(found - exact).max())
    assert rounding > 0
    assert np.abs(found - wanted).max() < rounding, "nearer to the oracle than to float32: sums differ in their order"
    assert not np.any(found.astype(np.float16).astype(np.float32) - found), "logits that float16 holds"


def one_by_one(*steps: tuple[str, float]) -> onnx.ModelProto:
    """A network of 1x1 convolutions with ReLU, each of which multiplies by a gain."""
    nodes, weights, before = [], [], "pixels"
    for name, gain in steps:
        kernel = (gain * np.eye(3, dtype=np.float32)).reshape(3, 3, 1, 1)
        weights.append(numpy_helper.from_array(kernel, f"{name}/kernel"))
        nodes.append(helper.make_node("Conv", [before, f"{name}/kernel"], [f"{name}/Conv2D:0"], f"{name}/Conv2D"))
        nodes.append(helper.make_node("Relu", [f"{name}/Conv2D:0"], [f"{name}/Relu:0"], f"{name}/Relu"))
        before = f"{name}/Relu:0"
    nodes[-1].output[0] = "logits"
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 32, 32]) for name in ("pixels", "logits")]
    graph = helper.make_graph(nodes, "gains", values[:1], values[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("gain", [1e5, 1e-9])
def test_what_overflows_or_underflows_is_seen_by_sibling_and_oracle_alone(gain: float) -> None:
    half = half_of(one_by_one(("loud", gain), ("quiet", 1 / gain if gain < 1 else 1e-3)))
    with np.errstate(all="ignore"):
        oracle = np.asarray(ReferenceEvaluator(half).run(None, {"pixels": PIXELS})[0])
    found = logits_of(float32_sibling(half))
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(oracle))
    np.testing.assert_allclose(found, oracle, rtol=2e-3)


def test_an_infinity_that_a_relu_cuts_off_is_harmless() -> None:
    network = one_by_one(("loud", -3e4), ("quiet", 1e-3))
    positive = 10 + np.abs(PIXELS)
    assert not np.any(OnnxFile(float32_sibling(half_of(network))).run(positive)["logits"])
    assert not any(Halver(network, [positive]).suspects().values())


def test_layers_in_float32_stand_between_casts(network: onnx.ModelProto) -> None:
    halver = Halver(network, [PIXELS])
    kept = list(halver.titles)[3]
    model = halver.reduced([kept])
    onnx.checker.check_model(model, full_check=True)
    kinds = {each.name: each.data_type for each in model.graph.initializer}
    of_type = {
        node.output[0]: kinds[node.input[1]] for node in model.graph.node if node.op_type in ("Conv", "ConvTranspose")
    }
    assert [name for name, kind in of_type.items() if kind == TensorProto.FLOAT] == [kept]
    whole = np.abs(logits_of(float32_sibling(half_of(network))) - logits_of(network)).max()
    assert np.abs(logits_of(float32_sibling(model)) - logits_of(network)).max() < 2 * whole


def test_the_layers_at_fault_are_those_that_write_and_those_that_read() -> None:
    network = one_by_one(("first", 1.0), ("loud", 1e5), ("quiet", 1e-3), ("last", 1.0))
    halver = Halver(network, [PIXELS])
    found = {halver.titles[layer]: why for layer, why in halver.suspects().items()}
    assert list(found) == ["loud", "quiet"]
    assert all("reach 3" in why and "beyond float16's 65504" in why for why in found.values())
    faint = Halver(one_by_one(("faint", 1e-9), ("loud", 1e4)), [PIXELS])
    why = next(iter(faint.suspects().values()))
    assert "lose 100% in float16" in why


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose network passes through values of some 100,000."""
    folder = tmp_path_factory.mktemp("run")
    data = write_camvid(folder / "camvid", train=1, val=2)
    write_untrained(tiny_settings(data, model="fcn8", encoder="compact", width=0.25), folder / "run")
    image = keras.Input((64, 64, 3))
    pixels = keras.layers.Conv2D(6, 3, padding="same", activation="relu", name="early")(image)
    loud = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="loud")(pixels)
    model = keras.Model(image, keras.layers.Conv2D(11, 1, name="quiet")(loud))
    for name, gain in (("loud", 2e5), ("quiet", 5e-5)):
        kernel, bias = model.get_layer(name).get_weights()
        model.get_layer(name).set_weights([kernel * gain, bias])
    model.save(folder / "run" / "model.keras")
    return folder / "run"


def exported(run: Path, folder: Path, **settings: Any) -> tuple[ExportReport, list[str]]:
    told: list[str] = []
    limits: dict[str, Any] = {"miou_loss": 100.0, "tensorrt_check": False, "precision": "fp16", **settings}
    return export(run, folder / "model.onnx", ExportSettings(**limits), told.append), told


def test_an_overflowing_layer_is_named_and_kept_in_float32(run: Path, tmp_path: Path) -> None:
    report, told = exported(run, tmp_path)
    left = [line for line in told if line.startswith("left in float: ")]
    assert {line.split()[3] for line in left} == {"loud,", "logits,"}
    assert all("beyond float16's 65504" in line for line in left)
    assert report.parity.equal_pixels > 0.999
    assert report.parity.logit_error < 0.01 * report.parity.logit_range
    kinds = {each.name: each.data_type for each in onnx.load(str(tmp_path / "model.onnx")).graph.initializer}
    convolutions = [node for node in onnx.load(str(tmp_path / "model.onnx")).graph.node if node.op_type == "Conv"]
    assert [kinds[node.input[1]] for node in convolutions] == [TensorProto.FLOAT16] + [TensorProto.FLOAT] * 2
    again, told = exported(run, tmp_path, keep_float=["loud", "logits"], float_budget=0)
    assert again.parity == report.parity
    assert not any(line.startswith("left in float") for line in told)


def test_an_overflowing_network_is_refused_with_its_layer_where_the_budget_ends(run: Path, tmp_path: Path) -> None:
    for budget in (0, 1):
        with pytest.raises(ModelError) as refusal:
            exported(run, tmp_path, float_budget=budget)
        text = str(refusal.value)
        assert f"with {budget} layers left in float" in text
        assert "loud is a layer whose values reach" in text
        assert text.endswith("name layers by --keep-float LAYER, raise --float-budget, or use --precision fp32")
    assert not list(tmp_path.iterdir())


def test_onnx_runtime_alone_would_have_let_it_pass(run: Path, tmp_path: Path) -> None:
    """Why the sibling is: the file that is NaN or wrong on a GPU gives the float network's masks there."""
    exported(run, tmp_path, precision="fp32", raw=True)
    network = onnx.load(str(tmp_path / "model.onnx"))
    half = half_of(network)
    pixels = np.random.default_rng(0).normal(size=(1, 3, 64, 64)).astype(np.float32)
    exact, there, honest = (
        np.asarray(OnnxFile(each).run(pixels)["logits"]) for each in (network, half, float32_sibling(half))
    )
    assert np.mean(there.argmax(1) == exact.argmax(1)) > 0.99
    assert not np.isfinite(honest).all()


def test_layers_that_are_to_stay_in_float_must_exist(run: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError,
        match=r"--keep-float laud: no such layer \(did you mean loud\?\); expected one of early, loud, logits",
    ):
        exported(run, tmp_path, keep_float=["laud"])
    with pytest.raises(UsageError, match="add --precision fp16 or int8"):
        ExportSettings(keep_float=["loud"])


def test_a_network_that_resizes_exports_in_fp16(run: Path, tmp_path: Path) -> None:
    """The scales of a Resize are float32 whatever it resizes."""
    shutil.copytree(run.parent / "camvid", tmp_path / "camvid")
    settings = tiny_settings(tmp_path / "camvid", model="unet", upsampling="bilinear")
    resizing = write_untrained(settings, tmp_path / "resizing")
    anything: dict[str, Any] = {"equal_pixels": 0.0, "tensorrt_check": library_at_hand()}
    report, _ = exported(resizing, tmp_path, **anything)
    assert report.parity.logit_error < 0.01 * report.parity.logit_range
    assert report.tensorrt.accepted or not library_at_hand()
    assert not any(report.tensorrt.refused_by_rules.values())
    model = onnx.load(str(tmp_path / "model.onnx"))
    constants = {each.name: each.data_type for each in model.graph.initializer}
    scales = [constants[node.input[2]] for node in model.graph.node if node.op_type == "Resize" and node.input[2]]
    assert scales == [TensorProto.FLOAT] * 3
