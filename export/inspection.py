"""What is in an ONNX file, anyone's: its tensors, operators, size and cost, and a first draft of its spec."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, shape_inference

from edgeseg.core.errors import EdgesegError, ModelError, one_line
from edgeseg.core.spec import METADATA_KEY, ModelSpec, spec_lines
from edgeseg.export.tail import Tail, Tails
from edgeseg.runtime.engines.graph_form import Tensor
from edgeseg.runtime.engines.onnx_bytes import graph_sha256
from edgeseg.runtime.engines.proven import GRAPH_KEY

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
_BYTES = (TensorProto.INT8, TensorProto.UINT8)
_BIG = 1024  # elements; a tensor that small may be a shape, whose values shape inference reads
Shapes = dict[str, tuple[int | None, ...]]
"""By tensor; None for a length that is not fixed."""


@dataclass(frozen=True)
class Deconvolution:
    """A ConvTranspose: kernel, stride, padding (top, left, bottom, right), groups, channels in and out."""

    name: str
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    groups: int
    channels: tuple[int, int]


@dataclass(frozen=True)
class Inspection:
    """What is in an ONNX file.

    Attributes:
        file, bytes: its path and size, with that of its external data.
        producer: program and version that wrote it.
        opset, ir_version: of ONNX; domains other than ONNX's own are in `other_domains`.
        precision: `fp32`, `fp16` or `int8`, by its weights and its QuantizeLinear nodes.
        inputs, outputs: name, type and shape of each; None for a dimension that is not fixed.
        operators: how many nodes of each type.
        parameters: numbers in its weights.
        gflops: for one picture, a multiplication and an addition as two; convolutions and matrix products alone;
            None if a size is not fixed.
        transposed_convolutions: each of them.
        tails: of each output, where its values come from.
        metadata: what its maker wrote into it, but for the spec.
        spec: edgeseg's, if it holds one.
        is_proven: whether the graph is the one that the export has proven; None for a file without its checksum.
    """

    file: str
    bytes: int
    producer: str
    opset: int
    ir_version: int
    other_domains: list[str]
    precision: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    operators: dict[str, int]
    parameters: int
    gflops: float | None
    transposed_convolutions: list[Deconvolution] = field(default_factory=list)
    tails: dict[str, Tail] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    spec: ModelSpec | None = None
    is_proven: bool | None = None


def inspect_onnx(path: Path) -> Inspection:
    """Look into an ONNX file; weights in external files are not read.

    Raises:
        ModelError: no such file, not an ONNX file, or external data that is missing or outside its folder.
    """
    model = _loaded(path)
    try:
        return _inspected(model, path)
    except EdgesegError:
        raise
    except Exception as error:  # onnx's errors share no base; of a damaged file, names are bytes and inputs missing
        raise ModelError(f"{path}: a damaged graph ({one_line(error, 200)}); export the model again") from error


def _inspected(model: onnx.ModelProto, path: Path) -> Inspection:
    graph = model.graph
    external = _external_bytes(model, path)
    weights = _weights(graph)
    shapes = _shapes(model)
    metadata = {each.key: each.value for each in model.metadata_props}
    spec = ModelSpec.from_json(metadata[METADATA_KEY], str(path)) if METADATA_KEY in metadata else None
    costs = [_operations(node, shapes) for node in graph.node]
    tails = Tails(graph, shapes)
    return Inspection(
        file=str(path),
        bytes=path.stat().st_size + external,
        producer=f"{model.producer_name} {model.producer_version}".strip() or "unknown",
        opset=next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0),
        ir_version=model.ir_version,
        other_domains=sorted({each.domain for each in model.opset_import} - {"", "ai.onnx"}),
        precision=_precision(graph, weights),
        inputs=[_tensor(each) for each in graph.input if each.name not in weights],
        outputs=[_tensor(each) for each in graph.output],
        operators=dict(Counter(node.op_type for node in graph.node).most_common()),
        parameters=sum(prod(each.dims) for each in weights.values()),
        gflops=None if None in costs else sum(cost or 0 for cost in costs) / 1e9,
        transposed_convolutions=[
            _deconvolution(node, shapes) for node in graph.node if node.op_type == "ConvTranspose"
        ],
        tails={each.name: tails.of(each.name) for each in graph.output},
        metadata={key: value for key, value in metadata.items() if key != METADATA_KEY},
        spec=spec,
        is_proven=metadata[GRAPH_KEY] == graph_sha256(path) if GRAPH_KEY in metadata else None,
    )


def _loaded(path: Path) -> onnx.ModelProto:
    if not os.path.isfile(path):
        raise ModelError(f"{path}: no such file; expected an ONNX file, or a TensorRT engine")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except (DecodeError, OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot load it, not an ONNX file ({error}); export the model again") from error
    if not model.graph.node:
        raise ModelError(f"{path}: cannot load it, an ONNX file without a graph; export the model again")
    return model


def _external_bytes(model: onnx.ModelProto, path: Path) -> int:
    """Return the size of the files beside it that hold its weights."""
    folder = path.resolve().parent
    named = {
        entry.value
        for each in model.graph.initializer
        if each.data_location == TensorProto.EXTERNAL
        for entry in each.external_data
        if entry.key == "location"
    }
    total = 0
    for name in sorted(named):
        file = (folder / name).resolve()
        if not file.is_relative_to(folder):
            raise ModelError(f"{path}: its weights are in {name!r}, outside its folder; put them beside it")
        if not file.is_file():
            raise ModelError(f"{path}: its weights are in {name!r}, which is not beside it; copy that file too")
        total += file.stat().st_size
    return total


def _weights(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Return floats and bytes that the graph computes with, without the scales and zero points of quantisation."""
    scales = {name for node in graph.node if node.op_type.endswith("QuantizeLinear") for name in node.input[1:]}
    scales |= {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.input[1:]}
    found = {each.name: each for each in graph.initializer}
    found.update(_constants(graph))
    return {k: v for k, v in found.items() if k not in scales and v.data_type in (*_FLOATS, *_BYTES)}


def _constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    nodes = [node for node in graph.node if node.op_type == "Constant"]
    return {node.output[0]: each.t for node in nodes for each in node.attribute if each.name == "value"}


def _shapes(model: onnx.ModelProto) -> Shapes:
    """Infer all shapes, on a copy without large weights: their sizes suffice, and a copy of them would not fit."""
    bare = onnx.ModelProto()
    bare.CopyFrom(_without_weights(model))
    with_shapes = shape_inference.infer_shapes(bare).graph
    known: Shapes = {each.name: tuple(each.dims) for each in with_shapes.initializer}
    known.update({name: tuple(tensor.dims) for name, tensor in _constants(with_shapes).items()})
    for each in (*with_shapes.input, *with_shapes.value_info, *with_shapes.output):
        known.setdefault(each.name, _tensor(each).shape)
    return known


def outputs_at(found: Inspection, picture: Tensor, shape: tuple[int, ...]) -> list[Tensor]:
    """Return the outputs of a file as they are where its input has the given shape; None stays what is still free."""
    if all(each.is_fixed for each in (picture, *found.outputs)):
        return found.outputs
    model = _loaded(Path(found.file))
    bare = onnx.ModelProto()
    bare.CopyFrom(_without_weights(model))
    for each in bare.graph.input:
        if each.name == picture.name:
            for dimension, length in zip(each.type.tensor_type.shape.dim, shape, strict=True):
                dimension.dim_value = length
    for each in (*bare.graph.output, *bare.graph.value_info):  # else what they say counts
        each.type.tensor_type.ClearField("shape")
    try:
        inferred = {
            each.name: _tensor(each) for each in shape_inference.infer_shapes(bare, data_prop=True).graph.output
        }
    except Exception:  # onnx's errors share no base; the shapes that the file states are left
        return found.outputs
    stated = {each.name: each for each in found.outputs}
    return [each if each.shape else stated[name] for name, each in inferred.items()]


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    for each in model.graph.initializer:
        if prod(each.dims) > _BIG:
            each.ClearField("raw_data")
            each.ClearField("float_data")
            each.ClearField("external_data")
            each.ClearField("data_location")
    return model


def _tensor(info: onnx.ValueInfoProto) -> Tensor:
    kind = info.type.tensor_type
    dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type).name if kind.elem_type else "unknown"
    shape = tuple(each.dim_value if each.HasField("dim_value") else None for each in kind.shape.dim)
    return Tensor(info.name, dtype, shape)


def _operations(node: onnx.NodeProto, shapes: Shapes) -> int | None:
    """Return the operations of a node, None if a size is not known; as edgeseg.models.complexity counts them."""
    if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return 0
    first, second, out = (shapes.get(name, (None,)) for name in (node.input[0], node.input[1], node.output[0]))
    pixels = {"Conv": out[2:], "ConvTranspose": first[2:]}.get(node.op_type, out[:-1])
    sizes = [*second[-2:], *pixels] if node.op_type in ("Gemm", "MatMul") else [*second, *pixels]
    return None if None in sizes else 2 * prod(n for n in sizes if n is not None)


def _precision(graph: onnx.GraphProto, weights: dict[str, onnx.TensorProto]) -> str:
    if any(node.op_type in ("QuantizeLinear", "QLinearConv", "ConvInteger") for node in graph.node):
        return "int8"
    sizes: Counter[int] = Counter()
    for each in weights.values():
        sizes[each.data_type] += prod(each.dims)
    return "fp16" if sizes[TensorProto.FLOAT16] > sizes[TensorProto.FLOAT] else "fp32"


def _deconvolution(node: onnx.NodeProto, shapes: Shapes) -> Deconvolution:
    values = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    kernel = shapes.get(node.input[1], ())
    groups = int(values.get("group", 1))
    channels_in, per_group = (int(n or 0) for n in (*kernel, 0, 0)[:2])
    return Deconvolution(
        name=node.name or node.output[0],
        kernel=tuple(values.get("kernel_shape", [n or 0 for n in kernel[2:]])),
        stride=tuple(values.get("strides", (1, 1))),
        padding=tuple(values.get("pads", (0, 0, 0, 0))),
        groups=groups,
        channels=(channels_in, per_group * groups),
    )


def lines_of(found: Inspection) -> Iterator[str]:
    """Yield what a user reads."""
    domains = f", also {', '.join(found.other_domains)}" if found.other_domains else ""
    yield f"{found.file}: {found.precision}, {found.bytes / 1e6:.1f} MB, written by {found.producer}"
    yield f"opset {found.opset}{domains}, IR version {found.ir_version}"
    for kind, tensors in (("input", found.inputs), ("output", found.outputs)):
        made = {name: f", made by {tail}" for name, tail in found.tails.items()} if kind == "output" else {}
        yield from (f"{kind:<7} {tensor}{made.get(tensor.name, '')}" for tensor in tensors)
    cost = "GFLOPs unknown: a size is not fixed" if found.gflops is None else f"{found.gflops:.2f} GFLOPs a picture"
    yield f"{found.parameters:,} parameters, {cost}"
    yield f"operators: {', '.join(f'{name} {number}' for name, number in found.operators.items())}"
    for each in found.transposed_convolutions:
        kernel, stride = ("x".join(map(str, size)) for size in (each.kernel, each.stride))
        yield (
            f"transposed convolution {each.name}: kernel {kernel}, stride {stride}, padding "
            f"{','.join(map(str, each.padding))}, groups {each.groups}, "
            f"channels {each.channels[0]} to {each.channels[1]}"
        )
    if found.is_proven is not None:
        yield f"graph: {'as the export has proven it' if found.is_proven else 'CHANGED since the export has proven it'}"
    yield from spec_lines(found.spec) if found.spec else ["no edgeseg model spec: --write-spec drafts one"]
