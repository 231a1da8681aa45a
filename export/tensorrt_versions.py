"""What the ONNX parser of each TensorRT that Jetsons have takes: operators, types and opsets, by version.

Sources. Operators and opsets: docs/operators.md of github.com/onnx/onnx-tensorrt as it stands for 8.5, 9.2 and 10.15,
between them docs/Changelog.md: 8.6 adds GroupNormalization, LayerNormalization and IsInf; 9.x CastLike and Hardmax;
10.1 DeformConv, with Gelu and Mish; 10.4 the windows; 10.5 STFT; 10.14 Attention; 11.0 Swish (release notes of
NVIDIA/TensorRT; DFT, from 11.2 on, is left out). Opsets 17 and 24 (25 from 11.5 on) likewise; 20 for 10.3 is 10.0's; 22
for 10.13 is that of the ONNX that its parser was built with, unconfirmed. IR versions are those of the ONNX releases of
these opsets, unconfirmed. Types: the same pages; that constants of float64 and uint8 are read as float32 and int32 is
WeightsContext.cpp there, and was tried with TensorRT-RTX 1.7; bfloat16 from 9.0 on (Changelog).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from onnx import TensorProto

_8_5 = """
Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast Ceil Celu Clip Concat
Constant ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DepthToSpace DequantizeLinear Div Dropout Einsum Elu
Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gemm GlobalAveragePool GlobalLpPool
GlobalMaxPool Greater GreaterOrEqual GridSample HardSigmoid HardSwish Identity If InstanceNormalization IsNaN LRN
LSTM LeakyRelu Less LessOrEqual Log LogSoftmax Loop LpNormalization LpPool MatMul Max MaxPool Mean
MeanVarianceNormalization Min Mod Mul Neg NonMaxSuppression NonZero Not OneHot Or PRelu Pad Pow QuantizeLinear RNN
RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum
ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize
ReverseSequence RoiAlign Round Scan Scatter ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size Slice
Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu
Unsqueeze Upsample Where Xor
"""
_8_6 = frozenset(_8_5.split()) | {"GroupNormalization", "LayerNormalization", "IsInf"}
_10_3 = _8_6 | {"CastLike", "Hardmax", "DeformConv", "Gelu", "Mish"}
_10_13 = _10_3 | {"BlackmanWindow", "HammingWindow", "HannWindow", "STFT"}
_10_16 = _10_13 | {"Attention", "RMSNormalization", "RotaryEmbedding", "TensorScatter"}
_11 = _10_16 | {"Swish"}

_TYPES = frozenset(
    {
        TensorProto.FLOAT,
        TensorProto.FLOAT16,
        TensorProto.DOUBLE,
        TensorProto.INT8,
        TensorProto.UINT8,
        TensorProto.INT32,
        TensorProto.INT64,
        TensorProto.BOOL,
    }
)


@dataclass(frozen=True)
class Version:
    """A TensorRT that Jetsons have.

    Attributes:
        name: for example `TensorRT 10.3`; 11 stands for all of 11.x.
        opset, ir_version: the newest ONNX that its parser was built for.
        operators: those that its parser knows.
        constants: the types of initialisers that it reads, by TensorProto's numbers.
    """

    name: str
    opset: int
    ir_version: int
    operators: frozenset[str] = field(repr=False)
    constants: frozenset[int] = field(default=_TYPES | {TensorProto.BFLOAT16}, repr=False)


VERSIONS = (
    Version("TensorRT 8.6", 17, 8, _8_6, _TYPES),
    Version("TensorRT 10.3", 20, 10, _10_3),
    Version("TensorRT 10.13", 22, 10, _10_13),
    Version("TensorRT 10.16", 24, 12, _10_16),
    Version("TensorRT 11", 24, 13, _11),
)
"""One for each TensorRT in the table of JetPacks (jetson/jetpacks.tsv)."""
