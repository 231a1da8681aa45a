"""int8 for TensorRT: pairs of QuantizeLinear and DequantizeLinear where its builder wants them.

As NVIDIA's guide says (Working with Quantized Types, Explicit Quantization, Q/DQ Layer-Placement Recommendations):
symmetric, weights per channel; on all inputs of a convolution; on what is added to its result by a residual Add, so
that both become one kernel; none between a convolution and its activation. The transposed convolutions stay as they
are, since quantised ones have been a source of trouble there.

A builder of strongly typed networks computes in float32, without tensor cores, whatever is written so: what is not
quantised is therefore to be converted to float16, and is told apart here. Between a DequantizeLinear and the
convolution, and between that and the next QuantizeLinear, there must be no cast: the builder would find no int8
convolution. Scales and what a DequantizeLinear gives are both float32: where they differ, TensorRT 10.16 has failed on
Orin (github.com/NVIDIA/TensorRT/issues/4832).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgeseg.export.precision.layers import readers_of

_GREATEST = 127
_ACTIVATIONS = ("Relu", "Clip")


def tensorrt_form(
    network: onnx.ModelProto, ranges: Mapping[str, tuple[float, float]], layers: Collection[str]
) -> tuple[onnx.ModelProto, set[str]]:
    """Quantise convolutions.

    Args:
        network: float32, not changed.
        ranges: by tensor its least and greatest value.
        layers: the convolutions to quantise, each named by its result.

    Returns:
        The quantised network, float32 but for what the pairs hold, and its nodes that are part of an int8 kernel, each
        named by its first output: they must stay as they are.
    """
    model = onnx.ModelProto()
    model.CopyFrom(network)
    writer = _Writer(model.graph, ranges, layers)
    for node in list(model.graph.node):
        writer.write(node)
    del model.graph.node[:]
    model.graph.node.extend(writer.nodes)
    return model, writer.kernels


class _Writer:
    def __init__(
        self, graph: onnx.GraphProto, ranges: Mapping[str, tuple[float, float]], layers: Collection[str]
    ) -> None:
        self._graph = graph
        self._ranges = ranges
        self._layers = layers
        self._weights = {each.name: each for each in graph.initializer}
        self._readers = readers_of(graph)
        self._read_quantised = {
            node.input[0] for node in graph.node if node.op_type == "Conv" and node.output[0] in layers
        }
        self._pairs: set[str] = set()
        self.nodes: list[onnx.NodeProto] = []
        self.kernels: set[str] = set()

    def write(self, node: onnx.NodeProto) -> None:
        if node.output[0] in self._layers:
            node.input[0] = self._pair(node.input[0], self._scale(node.input[0]), axis=None)
            kernel = numpy_helper.to_array(self._weights[node.input[1]])
            node.input[1] = self._pair(node.input[1], _scale_of(np.abs(kernel).max((1, 2, 3))), axis=0)
            self.kernels.add(node.output[0])
        elif node.op_type == "Add" and (residual := self._residual(node)) is not None:
            node.input[residual] = self._pair(node.input[residual], self._scale(node.input[residual]), axis=None)
            self.kernels.add(node.output[0])
        elif self._continues(node):
            self.kernels.add(node.output[0])
        self.nodes.append(node)

    def _residual(self, node: onnx.NodeProto) -> int | None:
        """Return which input of an Add joins the kernel of the convolution that gives the other one."""
        for other, own in ((0, 1), (1, 0)):
            result, added = node.input[own], node.input[other]
            read_once = [each.output[0] for each in self._readers[result]] == [node.output[0]]
            known = added in self._read_quantised or added in self._layers
            if result in self._layers and read_once and known and added in self._ranges:
                return other
        return None

    def _continues(self, node: onnx.NodeProto) -> bool:
        """Whether a node is computed as part of the kernel before it, or between that one and the next pair."""
        if node.input[0] not in self.kernels:
            return False
        return node.op_type in _ACTIVATIONS or (node.op_type == "MaxPool" and self._is_read_quantised_alone(node))

    def _is_read_quantised_alone(self, node: onnx.NodeProto) -> bool:
        readers = self._readers.get(node.output[0], [])
        return bool(readers) and all(each.output[0] in self._layers for each in readers)

    def _scale(self, tensor: str) -> NDArray[np.float32]:
        least, greatest = self._ranges[tensor]
        return _scale_of(np.asarray(max(abs(least), abs(greatest))))

    def _pair(self, tensor: str, scale: NDArray[np.float32], axis: int | None) -> str:
        """Return the name of a tensor behind a pair, which stands once however many read it."""
        quantised, result = f"{tensor}_quantised", f"{tensor}_dequantised"
        if tensor not in self._pairs:
            self._pairs.add(tensor)
            scale_name, zero_name = f"{tensor}_scale", f"{tensor}_zero_point"
            zero: NDArray[np.int8] = np.zeros(scale.shape, np.int8)
            self._graph.initializer.append(numpy_helper.from_array(scale, scale_name))
            self._graph.initializer.append(numpy_helper.from_array(zero, zero_name))
            attributes = {} if axis is None else {"axis": axis}
            for operator, source, target in (
                ("QuantizeLinear", tensor, quantised),
                ("DequantizeLinear", quantised, result),
            ):
                inputs = [source, scale_name, zero_name]
                self.nodes.append(helper.make_node(operator, inputs, [target], name=target, **attributes))
        return result


def _scale_of(greatest: NDArray[np.floating]) -> NDArray[np.float32]:
    """The step of a range; of nothing but zeros, any."""
    return np.asarray(np.where(greatest > 0, greatest / _GREATEST, 1.0), np.float32)
