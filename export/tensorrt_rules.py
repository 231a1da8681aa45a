"""What the ONNX parsers of JetPack's TensorRTs take, as rules: for where no NVIDIA library is at hand, and beside
TensorRT-RTX, which is more lenient than the TensorRT of JetPack.

Sources, beside those of tensorrt_versions.py. Attributes and zero points of 0: github.com/onnx/onnx-tensorrt,
docs/operators.md. uint8: only as network input or output, and converted from and to float alone (TensorRT's Python API,
DataType.UINT8). That a uint8 input wants a Cast and that antialias is refused was tried with TensorRT-RTX 1.7. Uneven
padding, as TensorFlow's `same` has it (a Conv with pads 0, 0, 1, 1): in two dimensions since TensorRT 5.1.3
(tensorflow#27988), in three not in all (TensorRT#1744, TensorRT#2095).
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from edgeseg.export.tensorrt_versions import VERSIONS, Version

_RESIZE_COORDINATES = ("half_pixel", "pytorch_half_pixel", "tf_half_pixel_for_nn", "asymmetric", "align_corners")
_FP16_QDQ_OPSET = 19  # before it, ONNX's QuantizeLinear takes float32 alone


def check_rules(model: onnx.ModelProto) -> dict[str, list[str]]:
    """Return what each version's parser would refuse, one line each; empty where nothing is known to be refused."""
    shared = [*_graph_faults(model.graph), *_byte_faults(model), *_quantisation_faults(model)]
    return {version.name: [*_version_faults(model, version), *shared] for version in VERSIONS}


def _version_faults(model: onnx.ModelProto, version: Version) -> Iterator[str]:
    opset = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)
    if opset > version.opset:
        yield f"opset {opset}; {version.name} takes up to {version.opset}: --opset {version.opset}"
    if model.ir_version > version.ir_version:
        yield f"IR version {model.ir_version}; {version.name} reads up to {version.ir_version}"
    for each in model.graph.initializer:
        if each.data_type not in version.constants:
            yield f"constant {each.name} is {_type_name(each.data_type)}; use float32 or int32"
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in version.operators:
            yield f"{node.op_type} ({node.name}): no such operator there"


def _graph_faults(graph: onnx.GraphProto) -> Iterator[str]:
    initialisers = {each.name for each in graph.initializer}
    for each in graph.input:
        shape = each.type.tensor_type.shape.dim
        if any(not dimension.HasField("dim_value") for dimension in shape) and each.name not in initialisers:
            yield f"input {each.name} has a free dimension; edgeseg builds engines of fixed sizes"
    for node in graph.node:
        if node.op_type in _ATTRIBUTE_RULES:
            yield from (f"{node.op_type} ({node.name}): {fault}" for fault in _ATTRIBUTE_RULES[node.op_type](node))


def _byte_faults(model: onnx.ModelProto) -> Iterator[str]:
    """uint8 comes in and goes out, and is converted from and to float at these two places alone."""
    types, ends = _types(model), {each.name for each in model.graph.output}
    readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in model.graph.node:
        for name in node.input:
            readers[name].append(node)
    for each in model.graph.input:
        others = [node for node in readers[each.name] if node.op_type != "Cast"]
        if types.get(each.name) == TensorProto.UINT8 and others:
            yield f"input {each.name} is uint8 and goes to {others[0].op_type}; a Cast must come first"
    for node in model.graph.node:
        for name in node.output:
            if types.get(name) != TensorProto.UINT8 or node.op_type == "QuantizeLinear":  # which has a rule of its own
                continue
            if name not in ends or readers[name]:
                yield f"{node.op_type} ({node.name}): {name} is uint8 within the graph; only inputs and outputs may be"
            before = types.get(node.input[0]) if node.op_type == "Cast" else None
            if before not in _TO_BYTES:
                yield f"Cast ({node.name}): to uint8 from {_type_name(before)}; cast to float32 before"


_TO_BYTES = (TensorProto.FLOAT, TensorProto.FLOAT16, None)  # None: not known


def _type_name(number: int | None) -> str:
    return "an unknown type" if number is None else str(TensorProto.DataType.Name(number)).lower()


def _types(model: onnx.ModelProto) -> dict[str, int]:
    """Return the element type of each tensor of a graph, as far as ONNX's own inference knows them.

    It is given the constants' types in place of the constants, which may be hundreds of megabytes.
    """
    graph = onnx.GraphProto(name="types", node=model.graph.node, input=model.graph.input, output=model.graph.output)
    held = {each.name for each in model.graph.input}
    graph.input.extend(
        helper.make_tensor_value_info(each.name, each.data_type, each.dims)
        for each in model.graph.initializer
        if each.name not in held
    )
    bare = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    # What is wrong with it onnx's checker says; the inputs' types are known.
    with contextlib.suppress(shape_inference.InferenceError, onnx.checker.ValidationError):
        graph = shape_inference.infer_shapes(bare).graph
    every = [*graph.input, *graph.value_info, *graph.output]
    return {each.name: each.type.tensor_type.elem_type for each in every if each.type.tensor_type.elem_type}


def _resize_faults(node: onnx.NodeProto) -> Iterator[str]:
    values = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    if values.get("antialias", 0):
        yield "antialias is not supported"
    if values.get("mode", b"nearest") not in (b"nearest", b"linear"):
        yield f"mode {values['mode'].decode()}; nearest or linear"
    if values.get("coordinate_transformation_mode", b"half_pixel").decode() not in _RESIZE_COORDINATES:
        yield f"coordinate_transformation_mode {values['coordinate_transformation_mode'].decode()}"


def _pool_faults(node: onnx.NodeProto) -> Iterator[str]:
    if len(node.output) > 1 and node.output[1]:
        yield "its output Indices is not supported"


def _padding_faults(node: onnx.NodeProto) -> Iterator[str]:
    values = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    pads = list(values.get("pads", []))
    half = len(pads) // 2
    if any(pad < 0 for pad in pads):
        yield f"pads {pads}; they must not be negative"
    elif half > 2 and pads[:half] != pads[half:]:
        yield f"pads {pads}; uneven ones are taken in two dimensions, not in {half}"


_ATTRIBUTE_RULES = {
    "Resize": _resize_faults,
    "MaxPool": _pool_faults,
    "Conv": _padding_faults,
    "ConvTranspose": _padding_faults,
}


def _quantisation_faults(model: onnx.ModelProto) -> Iterator[str]:
    opset = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)
    constants = {each.name: each for each in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        if node.input[1] not in constants:
            yield f"{node.op_type} ({node.name}): its scale must be an initialiser"
        elif constants[node.input[1]].data_type == TensorProto.FLOAT16 and opset < _FP16_QDQ_OPSET:
            yield f"{node.op_type} ({node.name}): an fp16 scale needs opset {_FP16_QDQ_OPSET}, this is {opset}"
        zero = constants.get(node.input[2]) if len(node.input) > 2 else None
        if zero is not None and np.any(numpy_helper.to_array(zero)):
            yield f"{node.op_type} ({node.name}): a zero point that is not 0; quantise symmetrically"
        if zero is None or zero.data_type != TensorProto.INT8:
            yield f"{node.op_type} ({node.name}): not int8; int8 with a zero point of 0 is what is taken"
