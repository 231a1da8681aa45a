"""A float32 graph that rounds as the float16 one does, for ONNX Runtime's CPU, which cannot compute in float16.

It keeps float32 between the nodes of a float16 graph: values that no float16 holds pass there, and are infinite on a
GPU. The sibling has the float16 graph's own weights, and behind each node that computes in float16 a cast to float16
and back. ONNX Runtime keeps such casts, and they overflow and underflow as onnx's reference evaluator does. Not
modelled is what happens inside a kernel: a GPU may add up in float16, or in an order of its own.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgeseg.export.precision.half import tensors_of_type

_CHOOSING = """
Relu Clip Max Min MaxPool Transpose Reshape Squeeze Unsqueeze Flatten Identity Concat Slice Split Gather Tile Expand
DepthToSpace SpaceToDepth
"""
"""Give nothing but values that they take, so that no cast has to round them again."""


def float32_sibling(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a float32 graph with the results of one that computes in float16, in whole or in part.

    Args:
        model: with inputs and outputs that are not float16; a graph without float16 is returned as it is.
    """
    halves = tensors_of_type(model, TensorProto.FLOAT16)
    if not halves:
        return model
    sibling = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    sibling.metadata_props.extend(model.metadata_props)
    graph = sibling.graph
    graph.name = model.graph.name
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    for each in model.graph.initializer:
        graph.initializer.append(_in_float(each))
    for node in model.graph.node:
        graph.node.extend(_rounded(node, halves))
    return sibling


def _in_float(tensor: onnx.TensorProto) -> onnx.TensorProto:
    if tensor.data_type != TensorProto.FLOAT16:
        return tensor
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)


def _rounded(node: onnx.NodeProto, halves: set[str]) -> list[onnx.NodeProto]:
    """Return the node in float32, and behind it the casts that round its float16 results."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    for attribute in copy.attribute:
        if attribute.type == onnx.AttributeProto.TENSOR:
            attribute.t.CopyFrom(_in_float(attribute.t))
        if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT16:
            attribute.i = TensorProto.FLOAT
    nodes = [copy]
    for i, name in enumerate(node.output):
        if name in halves and node.op_type not in _CHOOSING.split():
            copy.output[i] = f"{name}_exact"
            half = f"{name}_rounded"
            nodes.append(helper.make_node("Cast", [copy.output[i]], [half], name=half, to=TensorProto.FLOAT16))
            nodes.append(helper.make_node("Cast", [half], [name], name=f"{half}_back", to=TensorProto.FLOAT))
    return nodes
