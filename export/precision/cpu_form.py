"""int8 for ONNX Runtime's CPU: what it fuses, seen in its profiles and optimised graphs (onnxruntime 1.31).

Asymmetric uint8 with int8 weights per channel. Behind a convolution stands a pair too, with the range of its
activation: without it the convolution is computed in float. Its own quantiser reads every tensor through its pair, so
that a residual Add becomes one node in int8. Two things it leaves undone:

- A sigmoid that gates (x * sigmoid(x) and squeeze-and-excitation) stays in float with a conversion on every side, which
  cost EfficientNetV2 a fifth of its time: quantised, the sigmoid is a table.
- It moves a pair over a MaxPool, whose kernel for plain uint8 is many times slower than the float one. A ReLU behind
  the pool, where it is worth as much, keeps the pair from moving: 1.6 times as fast for ResNet50.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import onnx

from edgeseg.export.precision.layers import Readers, readers_of
from edgeseg.export.precision.ranges import silent

_PASSING = ("Relu", "Clip", "MaxPool")  # give the values that they take, or the nearest they may


def cpu_form(network: onnx.ModelProto, ranges: Any, layers: Collection[str]) -> onnx.ModelProto:
    """Quantise convolutions.

    Args:
        network: float32, not changed.
        ranges: ONNX Runtime's TensorsData, not changed.
        layers: the convolutions to quantise, each named by its result.
    """
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.calibrate import TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    model = onnx.ModelProto()
    model.CopyFrom(network)
    readers = readers_of(network.graph)
    chosen = [node for node in model.graph.node if node.output[0] in layers]
    chosen += _gates(model.graph, layers)
    data = TensorsData(ranges.calibration_method, _shared(dict(ranges.data), readers, layers))
    names = [node.name for node in chosen]
    pool_before_relu(model.graph)
    if not names:
        return model
    options = {"ActivationSymmetric": False, "WeightSymmetric": True, "QuantizeBias": True}
    operators = sorted({node.op_type for node in chosen})
    with silent():
        quantiser = QDQQuantizer(
            model, True, False, QuantType.QInt8, QuantType.QUInt8, data, names, [], operators, options
        )
        quantiser.quantize_model()
        quantiser.model.topological_sort()
    written: onnx.ModelProto = quantiser.model.model
    written.ir_version = network.ir_version
    return written


def pool_before_relu(graph: onnx.GraphProto) -> None:
    """Put each ReLU that only a MaxPool reads behind it: the result is the same to the last bit."""
    readers = readers_of(graph)
    for relu in graph.node:
        after = readers.get(relu.output[0], [])
        if relu.op_type == "Relu" and [node.op_type for node in after] == ["MaxPool"]:
            pool = after[0]
            relu.op_type, pool.op_type = "MaxPool", "Relu"
            relu.name, pool.name = pool.name, relu.name
            relu.attribute.extend(pool.attribute)
            del pool.attribute[:]


def _gates(graph: onnx.GraphProto, layers: Collection[str]) -> Iterator[onnx.NodeProto]:
    """Yield the sigmoids of quantised convolutions, and the products with what they give."""
    gates = {node.output[0]: node for node in graph.node if node.op_type == "Sigmoid" and node.input[0] in layers}
    yield from gates.values()
    constants = {each.name for each in graph.initializer}
    for node in graph.node:
        if node.op_type == "Mul" and set(node.input) & set(gates) and not set(node.input) & constants:
            yield node


def _shared(ranges: dict[str, Any], readers: Readers, layers: Collection[str]) -> dict[str, Any]:
    """Give what a convolution writes the range of what is left of it where it is read: it is then rounded once."""
    for layer in layers:
        name = layer
        while [each.op_type in _PASSING for each in readers.get(name, [])] == [True]:
            name = readers[name][0].output[0]
            if name in ranges:
                ranges[layer] = ranges[name]
    return ranges
