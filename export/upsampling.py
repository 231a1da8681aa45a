"""The transposed convolutions: what each is, how far from bilinear, and that ONNX holds it as one ConvTranspose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgeseg.core.errors import ModelError
from edgeseg.models.bilinear import bilinear_kernel
from edgeseg.models.depthwise import DepthwiseConv2DTranspose
from edgeseg.tf import keras

_STAND_INS = ("Resize", "Upsample", "Slice", "Pad", "Shape", "DepthToSpace")
# Layers that rightly become such a node: an option of the architecture, not a lost transposed convolution.
_MADE_BY = {
    "UpSampling2D": {"Resize", "Upsample"},
    "Resizing": {"Resize"},
    "ZeroPadding2D": {"Pad"},
    "Cropping2D": {"Slice"},
}
_COLUMNS = "{:<16} {:<8} {:<8} {:<12} {:>6}  {:<9} {:>9}  {}"


@dataclass(frozen=True)
class Upsampling:
    """One transposed convolution.

    Attributes:
        name: of the Keras layer.
        node: of the ConvTranspose in the ONNX graph.
        kernel, stride: height and width.
        padding: top, left, bottom, right.
        groups: of the ConvTranspose; the number of channels if it is written grouped.
        channels: in and out.
        form: `per class` if the layer is built to enlarge each channel by itself, `diagonal` if it happens to (as
            untrained ones and frozen ones do), otherwise `dense`.
        deviation: greatest difference from the bilinear kernel; with unequal channels from the nearest
            bilinear[i, j] * M[out, in].
    """

    name: str
    node: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    groups: int
    channels: tuple[int, int]
    form: str
    deviation: float


def check_upsampling(model: Any, network: onnx.ModelProto) -> list[Upsampling]:
    """Return the transposed convolutions, each of them one ConvTranspose with kernel and strides as built.

    Args:
        model: keras.Model.
        network: the converted network, without head and tail.

    Raises:
        ModelError: one was lost, changed, or rewritten as a Resize, Slice, Pad or the like.
    """
    kinds = (keras.layers.Conv2DTranspose, DepthwiseConv2DTranspose)
    layers = [each for each in all_layers(model) if isinstance(each, kinds)]
    nodes = [node for node in network.graph.node if node.op_type == "ConvTranspose"]
    weights = {each.name: each for each in network.graph.initializer}
    built = Counter((tuple(layer.kernel_size), tuple(layer.strides)) for layer in layers)
    written = Counter((_ints(node, "kernel_shape", ()), _ints(node, "strides", (1, 1))) for node in nodes)
    if built != written:
        raise ModelError(
            f"the model has transposed convolutions (kernel, strides) {_listed(built)}, the ONNX graph has "
            f"{_listed(written)}; expected each to be one ConvTranspose: nothing was written"
        )
    _refuse_stand_ins(model, network)
    return [_described(layer, _node_of(layer, nodes, weights)) for layer in layers]


def all_layers(model: Any) -> Iterator[Any]:
    """Yield the layers of a model and of the models in it."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from all_layers(layer)
        else:
            yield layer


def write_grouped(network: onnx.ModelProto, rows: Iterable[Upsampling], forms: Iterable[str]) -> list[Upsampling]:
    """Write transposed convolutions whose kernel is 0 between different channels as grouped ones: C times less work.

    Args:
        network: changed in place.
        rows: from `check_upsampling`.
        forms: of these, `per class` and `diagonal`, which are written so.

    Returns:
        The rows as they are then.
    """
    named = {row.node: row.name for row in rows if row.form in forms and row.groups == 1}
    weights = {each.name: each for each in network.graph.initializer}
    for node in network.graph.node:
        if node.name in named:
            kernel = numpy_helper.to_array(weights[node.input[1]])
            diagonal = np.ascontiguousarray(kernel[np.arange(len(kernel)), np.arange(len(kernel))][:, None])
            node.input[1] = f"{node.name}/grouped"  # a name of its own: equal kernels are one initialiser
            network.graph.initializer.append(numpy_helper.from_array(diagonal, node.input[1]))
            kept = [attribute for attribute in node.attribute if attribute.name != "group"]
            del node.attribute[:]
            node.attribute.extend([*kept, helper.make_attribute("group", len(kernel))])
    used = {name for node in network.graph.node for name in node.input}
    kept_weights = [each for each in network.graph.initializer if each.name in used]
    del network.graph.initializer[:]
    network.graph.initializer.extend(kept_weights)
    return [replace(row, groups=row.channels[0]) if row.node in named else row for row in rows]


def table(rows: Iterable[Upsampling]) -> list[str]:
    """Return the rows as lines of text under a heading."""
    lines = [_COLUMNS.format("upsampling", "kernel", "stride", "padding", "groups", "form", "deviation", "in ONNX")]
    for row in rows:
        padding = ",".join(map(str, row.padding))
        kernel, stride = (f"{height}x{width}" for height, width in (row.kernel, row.stride))
        deviation = f"{row.deviation:.2g}"
        lines.append(
            _COLUMNS.format(row.name, kernel, stride, padding, row.groups, row.form, deviation, "one ConvTranspose")
        )
    return lines


def deviation_from_bilinear(kernel: NDArray[np.float32]) -> float:
    """Return the greatest difference of a (k, k, out, in) kernel from bilinear interpolation.

    With as many channels in as out that is the bilinear kernel on the diagonal; otherwise the nearest
    bilinear[i, j] * M[out, in], M by least squares. A kernel that is not square, or not of an interpolation, has no
    bilinear kernel: infinite.
    """
    size, width, channels_out, channels_in = kernel.shape
    if size != width:
        return float("inf")
    bilinear = bilinear_kernel(size)
    if channels_out == channels_in:
        mixing = np.eye(channels_in, dtype=np.float32)
    else:
        mixing = np.einsum("ij,ijoc->oc", bilinear, kernel) / np.sum(bilinear**2)
    return float(np.abs(kernel - bilinear[:, :, None, None] * mixing).max())


def _kernel(layer: Any) -> NDArray[np.float32]:
    """Return (height, width, out, in), as Keras has it."""
    kernel = np.asarray(layer.kernel)
    return np.asarray(layer.dense_kernel(kernel)) if isinstance(layer, DepthwiseConv2DTranspose) else kernel


def _form(layer: Any, kernel: NDArray[np.float32]) -> str:
    if isinstance(layer, DepthwiseConv2DTranspose):
        return "per class"
    channels_out, channels_in = kernel.shape[2:]
    square = channels_out == channels_in
    return "diagonal" if square and not np.any(kernel[:, :, ~np.eye(channels_in, dtype=bool)]) else "dense"


def _described(layer: Any, node: onnx.NodeProto) -> Upsampling:
    kernel = _kernel(layer)
    channels_out, channels_in = kernel.shape[2:]
    (height, width), (down, right) = layer.kernel_size, layer.strides
    top, left, bottom, end = _ints(node, "pads", (0, 0, 0, 0))
    return Upsampling(
        name=layer.name,
        node=node.name,
        kernel=(height, width),
        stride=(down, right),
        padding=(top, left, bottom, end),
        groups=next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1),
        channels=(channels_in, channels_out),
        form=_form(layer, kernel),
        deviation=deviation_from_bilinear(kernel),
    )


def _node_of(layer: Any, nodes: list[onnx.NodeProto], weights: dict[str, onnx.TensorProto]) -> onnx.NodeProto:
    """Take, out of `nodes`, the one whose kernel is the layer's: tf2onnx orders and names them as it likes."""
    wanted = _kernel(layer).transpose(3, 2, 0, 1)

    def distance(node: onnx.NodeProto) -> float:
        tensor = weights.get(node.input[1])
        if tensor is None or tuple(tensor.dims) != wanted.shape:
            return float("inf")
        return float(np.abs(numpy_helper.to_array(tensor) - wanted).max())

    best = min(nodes, key=distance)
    if distance(best) == float("inf"):
        raise ModelError(
            f"layer {layer.name}: no ConvTranspose of the ONNX graph has a kernel of its shape {wanted.shape}; "
            f"expected each transposed convolution to be one ConvTranspose: nothing was written"
        )
    nodes.remove(best)
    return best


def _refuse_stand_ins(model: Any, network: onnx.ModelProto) -> None:
    known = set().union(*(_MADE_BY.get(type(layer).__name__, set()) for layer in all_layers(model)))
    strangers = sorted({node.op_type for node in network.graph.node if node.op_type in _STAND_INS} - known)
    if strangers:
        raise ModelError(
            f"the ONNX graph holds {', '.join(strangers)} inside the network, which no layer of the model asks for; "
            f"expected plain ConvTranspose nodes: nothing was written"
        )


def _ints(node: onnx.NodeProto, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    return next((tuple(attribute.ints) for attribute in node.attribute if attribute.name == name), default)


def _listed(found: Counter[tuple[tuple[int, ...], tuple[int, ...]]]) -> str:
    return ", ".join(f"{number} x {kernel} {strides}" for (kernel, strides), number in sorted(found.items())) or "none"
