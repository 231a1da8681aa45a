"""fp16: the network's weights and arithmetic in float16, between the head and the tail, which stay float32."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgeseg.core.errors import ModelError
from edgeseg.export.network import INPUT, OUTPUT

_MAX = float(np.finfo(np.float16).max)


def to_half(network: onnx.ModelProto) -> None:
    """Convert a float32 network in place; its input and output stay float32.

    Raises:
        ModelError: a weight is beyond float16's 65504, or a node is told to give float32.
    """
    graph = network.graph
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(_halved(tensor, tensor.name))
    for node in graph.node:
        _convert_attributes(node)
        node.input[:] = [f"{INPUT}_fp16" if name == INPUT else name for name in node.input]
        node.output[:] = [f"{OUTPUT}_fp16" if name == OUTPUT else name for name in node.output]
    del graph.value_info[:]
    first = helper.make_node("Cast", [INPUT], [f"{INPUT}_fp16"], name="to_fp16", to=TensorProto.FLOAT16)
    last = helper.make_node("Cast", [f"{OUTPUT}_fp16"], [OUTPUT], name="from_fp16", to=TensorProto.FLOAT)
    graph.node.insert(0, first)
    graph.node.append(last)


def _halved(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    array = numpy_helper.to_array(tensor)
    greatest = float(np.abs(array).max(initial=0.0))
    if not greatest <= _MAX:  # so written, nan is refused too
        raise ModelError(f"weight {name} reaches {greatest:g}; float16 ends at {_MAX:g}: export with --precision fp32")
    return numpy_helper.from_array(array.astype(np.float16), name)


def _convert_attributes(node: onnx.NodeProto) -> None:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.TENSOR and attribute.t.data_type == TensorProto.FLOAT:
            attribute.t.CopyFrom(_halved(attribute.t, node.name))
        if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
            attribute.i = TensorProto.FLOAT16
