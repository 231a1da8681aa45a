"""What a user can get wrong in an export: one line, the right exit code, and nothing under the final name."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgeseg.commands.main import cli
from edgeseg.core.errors import EdgesegError, ModelError, UsageError
from edgeseg.core.spec import ModelSpec
from edgeseg.export import network
from edgeseg.export.exporter import export
from edgeseg.export.settings import ExportSettings
from edgeseg.runtime.engines.manifest import EngineManifest
from edgeseg.runtime.engines.onnx_bytes import onnx_metadata
from edgeseg.tf import keras
from tests.helpers.small_disk import small_disk
from tests.helpers.training import tiny_settings, write_camvid, write_untrained


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    data = write_camvid(folder / "camvid", train=1, val=1)
    return write_untrained(tiny_settings(data, model="fcn8", encoder="compact", width=0.25), folder / "run")


def with_model(run: Path, out: Path, model: Any) -> Path:
    """A run of another model."""
    out.mkdir()
    shutil.copy(run / "spec.json", out)
    model.save(out / "model.keras")
    return out


def refusal(run: Path, folder: Path, **settings: Any) -> EdgesegError:
    """Export over an earlier file, which must stay, and return the error."""
    target = folder / "model.onnx"
    target.write_bytes(b"earlier")
    with pytest.raises(EdgesegError) as caught:
        export(run, target, ExportSettings(tensorrt_check=False, **settings))
    assert target.read_bytes() == b"earlier"
    assert not [name for name in os.listdir(folder) if "partial" in name or name.endswith(".spec.json")]
    return caught.value


def test_a_layer_that_keras_does_not_know(run: Path, tmp_path: Path) -> None:
    class Secret(keras.layers.Layer):  # type: ignore[misc]
        def call(self, pixels: Any) -> Any:
            return pixels

    image = keras.Input((64, 64, 3))
    error = refusal(with_model(run, tmp_path / "run", keras.Model(image, Secret()(image))), tmp_path)
    assert isinstance(error, ModelError)
    assert "model.keras: cannot be loaded (" in str(error)
    assert "Secret" in str(error)


def test_a_layer_that_onnx_cannot_say(run: Path, tmp_path: Path) -> None:
    image = keras.Input((64, 64, 3))
    buckets = keras.layers.Discretization(bin_boundaries=[0.0, 1.0])(image)
    model = keras.Model(image, keras.layers.Conv2D(11, 1)(keras.layers.Rescaling(1.0)(buckets)))
    error = refusal(with_model(run, tmp_path / "run", model), tmp_path)
    assert isinstance(error, ModelError)
    assert "use layers that tf2onnx knows" in str(error)


def test_a_model_of_free_size(run: Path, tmp_path: Path) -> None:
    image = keras.Input((None, None, 3))
    model = keras.Model(image, keras.layers.Conv2D(11, 1)(image))
    error = refusal(with_model(run, tmp_path / "run", model), tmp_path)
    assert "gives (None, None, None, 11); expected (None, 64, 64, 11)" in str(error)


def test_a_keras_file_without_its_spec(run: Path, tmp_path: Path) -> None:
    shutil.copy(run / "model.keras", tmp_path)
    error = refusal(tmp_path / "model.keras", tmp_path)
    assert "spec.json: cannot be read" in str(error)


def test_a_model_that_no_onnx_file_can_hold(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a limit of its own: two gigabytes of weights are no thing for a test."""
    monkeypatch.setattr(network, "MAX_BYTES", 10_000)
    error = refusal(run, tmp_path)
    assert isinstance(error, ModelError)
    assert "parameters take" in str(error)
    assert "--width" in str(error)


def test_a_full_disk(run: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1):
        (tmp_path / "disk" / "other").write_bytes(bytes(950_000))
        error = refusal(run, tmp_path / "disk")
    assert isinstance(error, UsageError)
    assert "model.onnx: cannot be written (No space left on device); choose another place or free the disk" in str(
        error
    )


def test_a_disk_that_the_model_fills_keeps_the_earlier_model_with_its_spec(run: Path, tmp_path: Path) -> None:
    """Not the new model beside the old spec."""
    export(run, tmp_path / "model.onnx", ExportSettings(tensorrt_check=False))
    page, disk = os.sysconf("SC_PAGE_SIZE"), tmp_path / "disk"
    pages = -(-(tmp_path / "model.onnx").stat().st_size // page)
    with small_disk(disk, 4):
        (disk / "model.onnx").write_bytes(b"earlier")
        (disk / "model.onnx.spec.json").write_text("earlier too")
        free = os.statvfs(disk).f_bavail
        (disk / "other").write_bytes(bytes((free - pages) * page))
        with pytest.raises(UsageError, match="No space left on device"):
            export(run, disk / "model.onnx", ExportSettings(tensorrt_check=False))
        assert (disk / "model.onnx").read_bytes() == b"earlier"
        assert (disk / "model.onnx.spec.json").read_text() == "earlier too"


@pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="tensorrt-rtx: x86-64 Linux has wheels")
def test_an_engine_beside_the_model(run: Path, tmp_path: Path) -> None:
    command = ["export", str(run), "--onnx", str(tmp_path / "m.onnx"), "--engine", str(tmp_path / "m.engine")]
    result = CliRunner().invoke(cli, [*command, "--no-tensorrt-check"])
    assert result.exit_code == 0, result.output
    manifest = EngineManifest.read(tmp_path / "m.engine")
    assert manifest.spec == ModelSpec.from_json(onnx_metadata(tmp_path / "m.onnx")["edgeseg"], "m.onnx")
    assert manifest.key.onnx_sha256 == hashlib.sha256((tmp_path / "m.onnx").read_bytes()).hexdigest()


def test_a_full_disk_for_the_calibration(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_disk(tmp_path / "disk", 1):
        (tmp_path / "disk" / "other").write_bytes(bytes(950_000))
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "disk"))
        error = refusal(run, tmp_path, precision="int8")
    assert isinstance(error, UsageError)
    assert "no room for the calibration (No space left on device); set TMPDIR" in str(error)


def test_few_frames_for_the_calibration_are_said(run: Path, tmp_path: Path) -> None:
    told: list[str] = []
    anything = ExportSettings(precision="int8", equal_pixels=0.0, miou_loss=100.0, tensorrt_check=False)
    export(run, tmp_path / "model.onnx", anything, told.append)
    assert "warning: 1 frames for the calibration; expected at least 100 varied ones" in told


@pytest.mark.parametrize("opset", ["11", "25"])
def test_an_opset_that_cannot_be_written(run: Path, tmp_path: Path, opset: str) -> None:
    result = CliRunner().invoke(cli, ["export", str(run), "--onnx", str(tmp_path / "m.onnx"), "--opset", opset])
    assert result.exit_code == 2
    assert f"{opset} is not a whole number from 13 to 18" in result.output
    assert not list(tmp_path.iterdir())
