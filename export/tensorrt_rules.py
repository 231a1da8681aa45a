"""What the ONNX parsers of TensorRT 8.6 and 10.3 take, as a table: for where no NVIDIA library is at hand, and beside
TensorRT-RTX, which is more lenient than the TensorRT of JetPack.

Sources. Operators, their attributes, zero points of 0: the table of github.com/onnx/onnx-tensorrt, docs/operators.md,
as it was for 8.5; taken to hold for 8.6 and 10.3, which may know more. Opset 17 for 8.6: NVIDIA's list of operators
on Orin DLA. That a uint8 input wants a Cast and that antialias is refused was tried with TensorRT-RTX 1.7. Not checked
against a document: opset 20 for 10.3, and the IR versions, which are those of the ONNX releases of these opsets. Uneven
padding, as TensorFlow's `same` has it (a Conv with pads 0, 0, 1, 1): in two dimensions since TensorRT 5.1.3
(tensorflow#27988), in three not in all (TensorRT#1744, TensorRT#2095).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

OPERATORS = """
Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast Ceil Celu Clip Concat
Constant ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DepthToSpace DequantizeLinear Div Dropout Einsum Elu
Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gemm GlobalAveragePool GlobalLpPool
GlobalMaxPool Greater GreaterOrEqual GridSample HardSigmoid HardSwish Identity If InstanceNormalization IsNaN LRN
LSTM LeakyRelu Less LessOrEqual Log LogSoftmax Loop LpNormalization LpPool MatMul Max MaxPool Mean
MeanVarianceNormalization Min Mod Mul Neg NonMaxSuppression NonZero Not OneHot Or PRelu Pad Pow QuantizeLinear RNN
RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum
ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize
ReverseSequence RoiAlign Round Scan ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size Slice
Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu
Unsqueeze Upsample Where Xor
"""
_TYPES = {
    TensorProto.FLOAT,
    TensorProto.FLOAT16,
    TensorProto.INT8,
    TensorProto.INT32,
    TensorProto.INT64,
    TensorProto.BOOL,
}
_RESIZE_COORDINATES = ("half_pixel", "pytorch_half_pixel", "tf_half_pixel_for_nn", "asymmetric", "align_corners")
_FP16_QDQ_OPSET = 19  # before it, ONNX's QuantizeLinear takes float32 alone


@dataclass(frozen=True)
class Version:
    """A TensorRT that Jetsons have, and the newest ONNX that its parser was built for."""

    name: str
    opset: int
    ir_version: int


VERSIONS = (Version("TensorRT 8.6", opset=17, ir_version=8), Version("TensorRT 10.3", opset=20, ir_version=10))


def check_rules(model: onnx.ModelProto) -> dict[str, list[str]]:
    """Return what each version's parser would refuse, one line each; empty where nothing is known to be refused."""
    shared = [*_graph_faults(model.graph), *_quantisation_faults(model)]
    return {version.name: [*_version_faults(model, version), *shared] for version in VERSIONS}


def _version_faults(model: onnx.ModelProto, version: Version) -> Iterator[str]:
    opset = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)
    if opset > version.opset:
        yield f"opset {opset}; {version.name} takes up to {version.opset}: --opset {version.opset}"
    if model.ir_version > version.ir_version:
        yield f"IR version {model.ir_version}; {version.name} reads up to {version.ir_version}"


def _graph_faults(graph: onnx.GraphProto) -> Iterator[str]:
    readers = {name: node for node in reversed(graph.node) for name in node.input}
    initialisers = {each.name for each in graph.initializer}
    for each in graph.input:
        kind, shape = each.type.tensor_type.elem_type, each.type.tensor_type.shape.dim
        if kind == TensorProto.UINT8 and each.name in readers and readers[each.name].op_type != "Cast":
            yield f"input {each.name} is uint8 and goes to {readers[each.name].op_type}; a Cast must come first"
        if any(not dimension.HasField("dim_value") for dimension in shape) and each.name not in initialisers:
            yield f"input {each.name} has a free dimension; edgeseg builds engines of fixed sizes"
    for each in graph.initializer:
        if each.data_type not in _TYPES:
            yield f"constant {each.name} is {TensorProto.DataType.Name(each.data_type)}; use float32 or int32"
    for node in graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS.split():
            yield f"{node.op_type} ({node.name}): no such operator there"
        elif node.op_type in _ATTRIBUTE_RULES:
            yield from (f"{node.op_type} ({node.name}): {fault}" for fault in _ATTRIBUTE_RULES[node.op_type](node))


def _resize_faults(node: onnx.NodeProto) -> Iterator[str]:
    values = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
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
    values = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
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
