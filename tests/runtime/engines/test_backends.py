import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeseg.core.errors import ModelError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.engines.choose import open_engine
from tests.helpers.colour_model import VIDEO_SIZE, colour_network, numbered_frame

WriteModel = Callable[..., Path]


def test_the_class_map_is_of_network_size_and_right(write_model: WriteModel) -> None:
    with open_engine(write_model(), threads=1) as engine:
        result = engine.run(numbered_frame(0))
    assert result.class_map.shape == (32, 64)
    assert result.class_map.dtype == np.uint8
    assert [int(result.class_map[16, x]) for x in (5, 30, 55)] == [0, 1, 2]
    assert result.confidence is None
    assert result.inference_ms > 0


@pytest.mark.parametrize("backend", ["onnxruntime-cpu", "openvino"])
def test_a_vehicle_tells_nobody_what_it_runs(write_model: WriteModel, backend: str, tmp_path: Path) -> None:
    """The telemetry of both keeps an identity in the home or the temporary folder, and sends nothing from CI."""
    if backend == "openvino":
        pytest.importorskip("openvino")
    model, home = write_model(), tmp_path / "home"
    home.mkdir()
    places = {name: str(home) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    silent = ("ORT_DISABLE_TELEMETRY", "CI", "TF_BUILD", "JENKINS_URL")
    environment = {key: value for key, value in os.environ.items() if key not in silent} | places
    command = [sys.executable, "-m", "edgeseg.runtime", "scenes://?frames=2&size=128x72", "--model", str(model)]
    subprocess.run([*command, "--backend", backend], env=environment, check=True, capture_output=True)
    assert list(home.iterdir()) == []


def test_confidence_is_255_times_the_softmax_maximum(write_model: WriteModel) -> None:
    frame = np.zeros((*VIDEO_SIZE, 3), np.uint8)
    frame[..., 0] = 150  # logits (1, -2, -2)
    with open_engine(write_model(with_confidence=True)) as engine:
        confidence = engine.run(frame).confidence
    assert confidence is not None
    assert np.unique(confidence) == round(255 / (1 + 2 * np.exp(-3)))


def test_the_spec_comes_with_the_file(write_model: WriteModel) -> None:
    with open_engine(write_model()) as engine:
        assert engine.spec.classes.names == ("blue", "green", "red")
        assert engine.frame_size == engine.spec.camera_size == VIDEO_SIZE


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((72, 127, 3), np.uint8),
        np.zeros((72, 128, 3), np.float32),
        np.zeros((72, 128), np.uint8),
        np.zeros((72, 256, 3), np.uint8)[:, ::2],
    ],
)
def test_a_frame_that_does_not_fit_is_refused_before_the_engine_sees_it(
    write_model: WriteModel, frame: np.ndarray
) -> None:
    with open_engine(write_model()) as engine, pytest.raises(ValueError, match="expected"):
        engine.run(frame)


def test_files_that_are_no_camera_graph_are_refused_with_a_reason(write_model: WriteModel, tmp_path: Path) -> None:
    whole = write_model()
    half = tmp_path / "half.onnx"
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    no_spec = tmp_path / "no_spec.onnx"
    model = onnx.load(str(whole))
    del model.metadata_props[:]
    onnx.save(model, str(no_spec))
    for path, said in (
        (half, "cannot load"),
        (no_spec, "no edgeseg model spec"),
        (tmp_path / "missing.onnx", "no such file"),
    ):
        with pytest.raises(ModelError, match=said) as caught:
            open_engine(path)
        assert "\n" not in str(caught.value)


def test_a_network_that_does_not_fit_its_spec_is_refused(tmp_path: Path, colour_spec: ModelSpec) -> None:
    network = colour_network(colour_spec)
    other = dataclasses.replace(colour_spec, input_size=Size(32, 128))
    onnx.helper.set_model_props(network, {"edgeseg": other.to_json()})
    onnx.save(network, str(tmp_path / "network.onnx"))
    with pytest.raises(ModelError, match="expected a camera graph"):
        open_engine(tmp_path / "network.onnx")


def test_an_unknown_backend_and_no_threads_are_wrong_usage(write_model: WriteModel) -> None:
    with pytest.raises(UsageError, match="onnxruntime-cpu"):
        open_engine(write_model(), backend="tpu")
    with pytest.raises(UsageError, match="a whole number from 1 to 1024"):
        open_engine(write_model(), threads=0)


def test_a_frame_of_odd_width_goes_through(write_model: WriteModel) -> None:
    size = Size(37, 101)
    with open_engine(write_model(camera_size=size)) as engine:
        class_map = engine.run(numbered_frame(0, size)).class_map
    assert [int(class_map[16, x]) for x in (5, 30, 55)] == [0, 1, 2]
