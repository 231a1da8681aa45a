"""Is the file what the model was? Its transposed convolutions, and its masks on real frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeseg.errors import ModelError
from edgeseg.pixels import network_pixels
from edgeseg.runtime.engines import Engine
from edgeseg.spec import ModelSpec
from edgeseg.tf import keras

EQUAL_PIXELS_LIMIT = 0.999
_STRANGERS = ("Resize", "Upsample", "Slice", "Pad", "Shape", "DepthToSpace")


@dataclass(frozen=True)
class Parity:
    """How far the written file agrees with the Keras model.

    Attributes:
        frames: number of frames compared.
        equal_pixels: share of class-map pixels that are the same, 0 to 1.
        worst_frame: index of the frame that agrees least.
        worst_equal_pixels: its share.
    """

    frames: int
    equal_pixels: float
    worst_frame: int
    worst_equal_pixels: float


def check_upsampling(model: Any, network: onnx.ModelProto) -> int:
    """Return the number of transposed convolutions, each of them one ConvTranspose with kernel and strides as built.

    Args:
        model: keras.Model.
        network: the converted network, without head and tail.

    Raises:
        ModelError: one was lost, changed, or rewritten as a Resize, Slice, Pad or the like.
    """
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2DTranspose)]
    built = Counter((tuple(layer.kernel_size), tuple(layer.strides)) for layer in layers)
    nodes = [node for node in network.graph.node if node.op_type == "ConvTranspose"]
    written = Counter(_kernel_and_strides(node) for node in nodes)
    if built != written:
        raise ModelError(
            f"the model has transposed convolutions (kernel, strides) {_listed(built)}, the ONNX graph has "
            f"{_listed(written)}; expected each to be one ConvTranspose: nothing was written"
        )
    strangers = sorted({node.op_type for node in network.graph.node if node.op_type in _STRANGERS})
    if strangers:
        raise ModelError(
            f"the ONNX graph holds {', '.join(strangers)} inside the network; expected plain ConvTranspose nodes: "
            f"nothing was written"
        )
    return len(nodes)


def compare(model: Any, engine: Engine, spec: ModelSpec, frames: Iterable[NDArray[np.uint8]]) -> Parity:
    """Compare the masks of the Keras model with those of the written file.

    Args:
        model: keras.Model.
        engine: runs the written camera graph.
        spec: of the camera graph.
        frames: (H, W, 3) uint8, BGR, of the engine's frame size.
    """
    equal = [_equal_share(model, engine, spec, frame) for frame in frames]
    if not equal:
        raise ModelError("no frames to compare the export with; give a data set with pictures by --check")
    worst = int(np.argmin(equal))
    return Parity(len(equal), float(np.mean(equal)), worst, equal[worst])


def _equal_share(model: Any, engine: Engine, spec: ModelSpec, frame: NDArray[np.uint8]) -> float:
    logits = np.asarray(model(network_pixels(frame, spec)[np.newaxis], training=False))[0]
    return float(np.mean(logits.argmax(-1) == engine.run(frame).class_map))


def _kernel_and_strides(node: onnx.NodeProto) -> tuple[tuple[int, ...], tuple[int, ...]]:
    attributes = {attribute.name: tuple(attribute.ints) for attribute in node.attribute}
    return attributes.get("kernel_shape", ()), attributes.get("strides", (1, 1))


def _listed(found: Counter[tuple[tuple[int, ...], tuple[int, ...]]]) -> str:
    return ", ".join(f"{number} x {kernel} {strides}" for (kernel, strides), number in sorted(found.items())) or "none"
