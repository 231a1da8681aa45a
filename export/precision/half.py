"""fp16: weights and arithmetic in float16, between the network's input and output, which stay float32.

A node computes in float16 where its operator takes it, and casts stand where the two types meet. So parts of a network
can stay in float32: what an operator takes in float32 alone (the scales of a Resize, QuantizeLinear before opset 19),
and the nodes that whoever calls names.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

GREATEST = float(np.finfo(np.float16).max)
_HALF = "tensor(float16)"


def to_half(network: onnx.ModelProto, keep: Collection[str] = ()) -> None:
    """Convert a float32 network in place; its inputs and outputs stay float32.

    A weight beyond float16's 65504 becomes an infinity: edgeseg.export.precision.selection judges the result.

    Args:
        network: with nodes in topological order.
        keep: nodes that go on computing in float32, each named by its first output.
    """
    floats = tensors_of_type(network, TensorProto.FLOAT)
    writer = _Writer(network, floats)
    for node in list(network.graph.node):
        writer.write(node, half=node.output[0] not in keep)
    writer.finish()


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of the ONNX operators."""
    return next(int(each.version) for each in model.opset_import if each.domain in ("", "ai.onnx"))


def tensors_of_type(model: onnx.ModelProto, kind: int) -> set[str]:
    """Return the names of all tensors of an element type: inputs, constants, and what nodes give."""
    outline = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    outline.graph.name = "outline"
    outline.graph.node.extend(model.graph.node)
    outline.graph.input.extend(model.graph.input)
    for each in model.graph.initializer:  # their values, perhaps half a gigabyte, do not matter here
        outline.graph.input.append(helper.make_tensor_value_info(each.name, each.data_type, each.dims))
    outline.graph.output.extend(model.graph.output)
    found = onnx.shape_inference.infer_shapes(outline).graph
    values = (*found.input, *found.value_info, *found.output)
    return {each.name for each in values if each.type.tensor_type.elem_type == kind}


class _Writer:
    """Writes the nodes anew, in order, with a cast wherever a tensor is read in the type that it has not."""

    def __init__(self, network: onnx.ModelProto, floats: set[str]) -> None:
        self._graph = network.graph
        self._opset = opset_of(network)
        self._floats = floats
        self._halves: set[str] = set()  # tensors that are computed in float16
        self._weights = {each.name: each for each in self._graph.initializer}
        self._nodes: list[onnx.NodeProto] = []
        self._made: dict[str, str] = {}  # casts and converted weights, by their name: what they are made of

    def write(self, node: onnx.NodeProto, half: bool) -> None:
        """Append a copy of a node, in float16 if that is asked for and its operator can."""
        schema = onnx.defs.get_schema(node.op_type, self._opset, node.domain)
        inputs = [
            half and name in self._floats and _HALF in _formal(schema.inputs, i).types
            for i, name in enumerate(node.input)
        ]
        outputs = [half and _HALF in _formal(schema.outputs, i).types for i in range(len(node.output))]
        if any(name in self._floats for name in node.input) and not any(inputs):
            outputs = [False] * len(outputs)
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [
            self._as_half(name) if in_half else self._as_float(name)
            for name, in_half in zip(node.input, inputs, strict=True)
        ]
        if any(outputs):
            _convert_attributes(copy)
            pairs = zip(node.output, outputs, strict=True)
            self._halves.update(name for name, in_half in pairs if in_half and name in self._floats)
        self._nodes.append(copy)

    def finish(self) -> None:
        """Put the nodes into the graph, whose outputs stay float32."""
        for name in [each.name for each in self._graph.output if each.name in self._halves]:
            for node in self._nodes:
                for names in (node.input, node.output):
                    names[:] = [f"{name}_fp16" if each == name else each for each in names]
            self._nodes.append(_cast(f"{name}_fp16", name, TensorProto.FLOAT))
        del self._graph.node[:], self._graph.value_info[:]
        self._graph.node.extend(self._nodes)
        used = {name for node in self._nodes for name in node.input}
        kept = [each for each in self._graph.initializer if each.name in used]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)

    def _as_half(self, name: str) -> str:
        if name in self._halves:
            return name
        made = f"{name}_fp16"
        if made not in self._made:
            self._made[made] = name
            if name in self._weights:
                self._graph.initializer.append(_halved(self._weights[name], made))
            else:
                self._nodes.append(_cast(name, made, TensorProto.FLOAT16))
        return made

    def _as_float(self, name: str) -> str:
        if name not in self._halves:
            return name
        made = f"{name}_fp32"
        if made not in self._made:
            self._made[made] = name
            self._nodes.append(_cast(name, made, TensorProto.FLOAT))
        return made


def halved(array: NDArray[np.float32]) -> NDArray[np.float16]:
    """Return numbers in float16; those beyond its range are infinite."""
    with np.errstate(over="ignore"):
        return array.astype(np.float16)


def _halved(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    return numpy_helper.from_array(halved(numpy_helper.to_array(tensor)), name)


def _cast(source: str, target: str, kind: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], name=f"{target}_cast", to=kind)


def _formal(parameters: list[onnx.defs.OpSchema.FormalParameter], index: int) -> onnx.defs.OpSchema.FormalParameter:
    """Return what the operator says of an input or output; the last one may stand for many, as Concat's does."""
    return parameters[min(index, len(parameters) - 1)]


def _convert_attributes(node: onnx.NodeProto) -> None:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.TENSOR and attribute.t.data_type == TensorProto.FLOAT:
            attribute.t.CopyFrom(_halved(attribute.t, attribute.t.name))
        if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.FLOAT16
