"""A camera graph that no one trained: it says which channel of a pixel is strongest, so what is right can be seen."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.core.spec import ModelSpec

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
