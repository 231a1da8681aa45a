"""What is constant becomes an initialiser, and a batch norm becomes part of the convolution before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

Array = NDArray[Any]
Weights = dict[str, Array]
_CONVOLUTIONS = ("Conv", "ConvTranspose")
_CHANNELS_LAST = [0, 2, 3, 1]


def bind_weights(graph: onnx.GraphProto, values: Mapping[str, Callable[[], Array]]) -> None:
    """Turn inputs of a graph into initialisers, and fold all that follows from constants alone.

    Large weights exist once as an array and once as the tensor that is written: nothing else is kept.

    Args:
        graph: changed in place.
        values: the value of each input that is to be bound; called once, when it is needed.
    """
    weights: Weights = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    weights.update({each.name: values[each.name]() for each in graph.input if each.name in values})
    inputs = [each for each in graph.input if each.name not in values]
    del graph.input[:], graph.initializer[:]
    graph.input.extend(inputs)
    _fold_constants(graph, weights)
    _fold_scales(graph, weights)
    used = {name for node in graph.node for name in node.input}
    for name in list(weights):
        array = weights.pop(name)
        if name in used:
            graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), name))


def _fold_constants(graph: onnx.GraphProto, weights: Weights) -> None:
    """Compute the nodes whose inputs are all constant; an array that no other node reads is dropped at once."""
    readers = Counter(name for node in graph.node for name in node.input)
    kept = []
    for node in graph.node:  # a valid graph lists producers first
        names = [name for name in node.input if name]
        if not (names or node.op_type == "Constant") or any(name not in weights for name in names):
            kept.append(node)
            continue
        results = _computed(node, [weights[name] for name in names], names)
        weights.update(zip(node.output, results, strict=True))
        for name in names:
            readers[name] -= 1
            if not readers[name]:
                weights.pop(name, None)
    _replace_nodes(graph, kept)


def _computed(node: onnx.NodeProto, values: list[Array], names: list[str]) -> list[Array]:
    if node.op_type == "Transpose":  # a view; the reference evaluator would copy the largest weights
        return [values[0].transpose(*(tuple(attribute.ints) for attribute in node.attribute))]
    return [np.asarray(each) for each in ReferenceEvaluator(node).run(None, dict(zip(names, values, strict=True)))]


@dataclass(frozen=True)
class _Result:
    """What a convolution gives, perhaps transposed to channels last: its scale and shift can still be folded in."""

    convolution: onnx.NodeProto
    last: onnx.NodeProto
    channels_last: bool


def _fold_scales(graph: onnx.GraphProto, weights: Weights) -> None:
    """Fold multiplications by, and additions of, one constant a channel into the convolution whose result they take."""
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(each.name for each in graph.output)
    results: dict[str, _Result] = {}
    kept: list[onnx.NodeProto] = []
    for node in graph.node:
        result = next((results[name] for name in node.input if name in results and readers[name] == 1), None)
        if result and _folded(node, result, weights):
            result.last.output[0] = node.output[0]
            results[node.output[0]] = result
            continue
        kept.append(node)
        if node.op_type in _CONVOLUTIONS and node.input[1] in weights and readers[node.input[1]] == 1:
            results[node.output[0]] = _Result(node, node, channels_last=False)
        elif result and node.op_type == "Transpose" and list(node.attribute[0].ints) == _CHANNELS_LAST:
            results[node.output[0]] = _Result(result.convolution, node, channels_last=True)
    _replace_nodes(graph, kept)


def _folded(node: onnx.NodeProto, result: _Result, weights: Weights) -> bool:
    """Fold a node into the convolution; False, with nothing changed, if it is not one number a channel."""
    constant = next((name for name in node.input if name in weights), None)
    if node.op_type not in ("Mul", "Add", "Sub") or constant is None:
        return False
    if node.op_type == "Sub" and node.input[0] == constant:
        return False
    kernel = weights[result.convolution.input[1]]
    axis = 1 if result.convolution.op_type == "ConvTranspose" else 0
    group = next((attribute.i for attribute in result.convolution.attribute if attribute.name == "group"), 1)
    channels = kernel.shape[axis]
    if (axis == 1 and group > 1) or not _is_per_channel(weights[constant], channels, result.channels_last):
        return False
    numbers = np.broadcast_to(weights[constant].reshape(-1), (channels,)).astype(kernel.dtype)
    _scale_and_shift(result.convolution, axis, node.op_type, numbers, weights)
    return True


def _scale_and_shift(node: onnx.NodeProto, axis: int, operator: str, numbers: Array, weights: Weights) -> None:
    kernel, has_bias = weights[node.input[1]], len(node.input) > 2
    bias = weights[node.input[2]] if has_bias else np.zeros(len(numbers), kernel.dtype)
    if operator == "Mul":
        weights[node.input[1]] = kernel * numbers.reshape([-1 if i == axis else 1 for i in range(kernel.ndim)])
        bias = bias * numbers
    else:
        bias = bias + (numbers if operator == "Add" else -numbers)
    if has_bias or operator != "Mul":
        name = f"{node.output[0]}/bias"
        weights[name] = bias
        del node.input[2:]
        node.input.append(name)


def _is_per_channel(value: Array, channels: int, channels_last: bool) -> bool:
    """A scalar, or what broadcasts along the channels alone of [N, C, H, W], or of [N, H, W, C]."""
    shape = value.shape[-1:] if channels_last else value.shape[-3:]
    return value.size == 1 or (shape == ((channels,) if channels_last else (channels, 1, 1)) and value.size == channels)


def _replace_nodes(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
