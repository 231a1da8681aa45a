"""The layers of a network, as far as precision is concerned: what has weights, with what follows it."""

from __future__ import annotations

from collections.abc import Iterable

import onnx

from edgeseg.core.errors import UsageError, nearest
from edgeseg.export.camera_graph import INPUT

Readers = dict[str, list[onnx.NodeProto]]
_WEIGHTED = ("Conv", "ConvTranspose", "MatMul", "Gemm")
_PICTURE_CHANNELS = 4
_LISTED = 20


class Layers:
    """The nodes of a network by layer: each convolution or product, with the nodes on its result up to the next one.

    A node is named by its first output; a layer by its first node.

    Attributes:
        members: by layer, in the order in which they are computed.
        titles: by layer, what a user knows it by.
    """

    def __init__(self, network: onnx.ModelProto) -> None:
        graph = network.graph
        readers = readers_of(graph)
        self.members: dict[str, list[str]] = {}
        layer_of: dict[str, str] = {}
        for node in graph.node:
            before = next((layer_of[name] for name in node.input if name in layer_of), None)
            layer = node.output[0] if node.op_type in _WEIGHTED or before is None else before
            layer_of.update(dict.fromkeys(node.output, layer))
            self.members.setdefault(layer, []).append(node.output[0])
        self.titles = {layer: title_of(layer, readers) for layer in self.members}
        self._layer_of = layer_of

    def nodes_of(self, layers: Iterable[str]) -> set[str]:
        """Return all nodes of some layers."""
        return {name for layer in layers for name in self.members[layer]}

    def layer_of(self, tensor: str) -> str | None:
        """Return the layer that gives a tensor; None for the network's input and for weights."""
        return self._layer_of.get(tensor)


def readers_of(graph: onnx.GraphProto) -> Readers:
    """Return by tensor the nodes that read it, in order."""
    readers: Readers = {}
    for node in graph.node:
        for name in dict.fromkeys(node.input):
            readers.setdefault(name, []).append(node)
    return readers


def title_of(tensor: str, readers: Readers) -> str:
    """The scope of the first result with the name of a layer: tf2onnx calls some by a number, as `Conv__12:0`."""
    name = tensor
    while "/" not in name and name in readers:
        name = str(readers[name][0].output[0])
    return name.partition("/")[0]


def reads_picture(node: onnx.NodeProto, graph: onnx.GraphProto) -> bool:
    """Whether a convolution reads the network's input, of a few channels."""
    kernel = next((each.dims for each in graph.initializer if each.name == node.input[1]), (0, 0))
    return INPUT in node.input and kernel[1] <= _PICTURE_CHANNELS


def layers_called(names: Iterable[str], titles: dict[str, str]) -> list[str]:
    """Return the layers with the titles that a user named.

    Raises:
        UsageError: no layer is called so.
    """
    known = list(dict.fromkeys(titles.values()))
    for name in names:
        if name not in known:
            listed = ", ".join([*known[:_LISTED], *(["..."] if len(known) > _LISTED else [])])
            raise UsageError(f"--keep-float {name}: no such layer{nearest(name, known)}; expected one of {listed}")
    return [layer for layer, title in titles.items() if title in set(names)]
