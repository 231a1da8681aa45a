"""Small ONNX graphs in the layouts of other people's models, and their class maps in plain NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edgeseg.core.geometry import Size

SIZE = Size(24, 40)
MEAN = np.array([123.675, 116.28, 103.53], np.float32)
STD = np.array([58.395, 57.12, 57.375], np.float32)
FLOAT, HALF, BYTE, INT64, BOOL = (
    TensorProto.FLOAT,
    TensorProto.FLOAT16,
    TensorProto.UINT8,
    TensorProto.INT64,
    TensorProto.BOOL,
)


def node(operator: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
    """Make a node of inputs that are named in one text."""
    return helper.make_node(operator, inputs.split(), output.split(), **attributes)


@dataclass
class Foreign:
    """A network of one 1x1 convolution, `scores`, and what others put behind it.

    Attributes:
        classes: channels of `scores`.
        tail: the nodes behind it, the last of which makes `y`.
        out: the shape of `y`; `kind` its type.
        layout, taken, channels: of the input, its type and its channels; bytes are normalised in the graph.
        constants: by name.
        more: further outputs: name, type, shape.
        shrink: stride of the convolution.
        free: the input's height and width are not fixed.
        metadata: what its maker wrote into the file.
    """

    classes: int
    tail: Sequence[NodeProto]
    out: Sequence[Any]
    kind: int = FLOAT
    layout: str = "nchw"
    taken: int = FLOAT
    channels: int = 3
    constants: dict[str, Any] = field(default_factory=dict)
    more: Sequence[tuple[str, int, Sequence[Any]]] = ()
    shrink: int = 1
    free: bool = False
    metadata: dict[str, str] = field(default_factory=dict)
    names: tuple[str, str] = ("image", "y")

    def weights(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        random = np.random.default_rng(self.classes)
        kernel = random.standard_normal((self.classes, self.channels)).astype(np.float32)
        return kernel, random.standard_normal(self.classes).astype(np.float32)

    def write(self, path: Path) -> Path:
        """Write the file."""
        kernel, bias = self.weights()
        kind = HALF if self.taken == HALF else FLOAT
        nodes, here = [], self.names[0]
        constants = dict(self.constants)
        if self.taken == BYTE:
            nodes += [node("Cast", here, "floats", to=FLOAT), node("Sub", "floats mean", "centred")]
            nodes.append(node("Mul", "centred scale", "normalised"))
            here = "normalised"
            shape = (1, -1, 1, 1) if self.layout == "nchw" else (1, 1, 1, -1)
            mean, std = (MEAN, STD) if self.channels == 3 else (np.zeros(1, np.float32), np.full(1, 255, np.float32))
            constants |= {"mean": mean.reshape(shape), "scale": (1 / std).astype(np.float32).reshape(shape)}
        if self.layout == "nhwc":
            nodes.append(node("Transpose", here, "planes", perm=[0, 3, 1, 2]))
            here = "planes"
        half = np.float16 if kind == HALF else np.float32
        constants |= {"kernel": kernel[:, :, None, None].astype(half), "bias": bias.astype(half)}
        nodes.append(node("Conv", f"{here} kernel bias", "scores", strides=[self.shrink, self.shrink]))
        sides: Sequence[Any] = ("height", "width") if self.free else SIZE
        shape_in = [1, self.channels, *sides] if self.layout == "nchw" else [1, *sides, self.channels]
        outputs = [(self.names[1], self.kind, self.out), *self.more]
        graph = helper.make_graph(
            [*nodes, *self.tail],
            "foreign",
            [helper.make_tensor_value_info(self.names[0], self.taken, shape_in)],
            [helper.make_tensor_value_info(*each) for each in outputs],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        helper.set_model_props(model, self.metadata)
        onnx.checker.check_model(model)
        onnx.save(model, str(path))
        return path

    def scores(self, frame: NDArray[np.uint8], mean: Any = MEAN, std: Any = STD) -> NDArray[np.float32]:
        """Return (classes, h, w) for a (H, W, 3) uint8 BGR frame, in NumPy."""
        kernel, bias = self.weights()
        if self.channels == 1:
            seen = np.rint(frame @ np.array([0.114, 0.587, 0.299]))[..., None] / 255
        else:
            seen = (frame[..., ::-1] - mean) / std
        found = np.einsum("kc,hwc->khw", kernel, seen.astype(np.float32)) + bias[:, None, None]
        return np.asarray(found[:, :: self.shrink, :: self.shrink], np.float32)


def picture(size: Size = SIZE) -> NDArray[np.uint8]:
    """A frame of noise in which every class occurs; grey pixels are even, so that a rounding changes nothing."""
    return np.random.default_rng(7).integers(0, 256, (*size, 3), np.uint8)
