"""Small real things that many tests need: a camera graph without training, a video, pictures."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import hypothesis
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeseg.geometry import Size
from edgeseg.labels import ClassMap
from edgeseg.spec import ModelSpec

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("edgeseg", parent=hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("edgeseg")

COLOURS = ClassMap(("blue", "green", "red"), ((0, 0, 255), (0, 255, 0), (255, 0, 0)))
VIDEO_SIZE = Size(72, 128)


COLOUR_SPEC = ModelSpec(
    name="colours",
    architecture="foreign",
    encoder="none",
    input_size=Size(32, 64),
    colour_order="bgr",
    mean=(100.0, 100.0, 100.0),
    scale=(0.02, 0.02, 0.02),
    classes=COLOURS,
)
"""A network of 64x32 that says which channel of a pixel is strongest: what is right can be seen."""


@pytest.fixture
def memory_path(tmp_path: Path) -> Iterator[Path]:
    """A folder as `tmp_path`, in memory where that can be: for tests in which a program syncs all that it writes."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="edgeseg-", dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.fixture
def colour_spec() -> ModelSpec:
    return COLOUR_SPEC


@pytest.fixture
def write_model(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the colour network as a camera graph and returns its path."""

    def write(camera_size: Size | None = VIDEO_SIZE, with_confidence: bool = False, **changes: Any) -> Path:
        return write_colour_model(tmp_path / "colours.onnx", camera_size, with_confidence, **changes)

    return write


def write_colour_model(
    path: Path, camera_size: Size | None = VIDEO_SIZE, with_confidence: bool = False, **changes: Any
) -> Path:
    """Write the colour network as a camera graph; `changes` are to its spec."""
    import onnx

    from edgeseg.export.camera_graph import camera_graph, with_camera

    spec = with_camera(dataclasses.replace(COLOUR_SPEC, **changes), camera_size)
    onnx.save(camera_graph(colour_network(spec), spec, with_confidence), str(path))
    return path


def colour_network(spec: ModelSpec):  # type: ignore[no-untyped-def]
    """An ONNX network from pixels to logits whose class is the strongest of blue, green, red."""
    from onnx import TensorProto, helper, numpy_helper

    order = [0, 1, 2] if spec.colour_order == "bgr" else [2, 1, 0]
    weights = np.eye(3, dtype=np.float32)[order].reshape(3, 3, 1, 1)
    size = list(spec.input_size)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["pixels", "weights"], ["logits"], kernel_shape=[1, 1])],
        "colours",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 3, *size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3, *size])],
        [numpy_helper.from_array(weights, "weights")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def numbered_frame(index: int, size: Size = VIDEO_SIZE) -> NDArray[np.uint8]:
    """A picture whose left part is blue, middle green, right red, and whose brightness says which frame it is."""
    frame = np.full((*size, 3), 20 + index % 40, np.uint8)
    third = size.width // 3
    for channel in range(3):
        frame[:, channel * third : (channel + 1) * third, channel] = 200
    return frame


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A real video of 30 numbered frames at 25 fps."""
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (VIDEO_SIZE.width, VIDEO_SIZE.height))
    assert writer.isOpened()
    for index in range(30):
        writer.write(numbered_frame(index))
    writer.release()
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of 12 numbered PNG pictures whose names sort by number, not by letter."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(12):
        cv2.imwrite(str(folder / f"frame{index}.png"), numbered_frame(index))
    return folder
