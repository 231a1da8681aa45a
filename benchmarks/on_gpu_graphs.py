"""What `on_gpu.py` runs: one model in three precisions, forms of an FCN's last enlargement, and plain products."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from importlib import resources
from math import prod
from pathlib import Path

import numpy as np
import onnx
from deconvolutions import dense, resize, separable, sub_pixel
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.core.pixels import network_pixels
from edgeseg.core.spec import ModelSpec
from edgeseg.core.tensors import Tensors
from edgeseg.export.camera_graph import camera_graph
from edgeseg.export.precision.half import to_half
from edgeseg.export.precision.quantise import Quantiser
from edgeseg.runtime.engines.model_file import open_model_file
from edgeseg.scenes import Drive

PRECISIONS = ("fp32", "fp16", "int8")
CALIBRATION = 8


def write_precisions(folder: Path) -> dict[str, Path]:
    """Write the model that comes with edgeseg as fp32, fp16 and int8 camera graphs; return them by precision."""
    own = Path(str(resources.files("edgeseg.runtime") / "bundled" / "scenes.onnx"))
    spec, whole = open_model_file(own).spec, onnx.load(str(own))
    network = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(whole)).extract_model(["pixels"], ["logits"])
    files = {precision: folder / f"{precision}.onnx" for precision in PRECISIONS}
    quantised = Quantiser(network, _calibration(spec), "percentile", "tensorrt", "fp16").reduced()
    for precision, graph in (("fp32", network), ("int8", quantised)):
        onnx.save(camera_graph(graph, dataclasses.replace(spec, precision=precision)), str(files[precision]))
    to_half(network)
    onnx.save(camera_graph(network, dataclasses.replace(spec, precision="fp16")), str(files["fp16"]))
    return files


def _calibration(spec: ModelSpec) -> Iterator[NDArray[np.float32]]:
    for seed in range(CALIBRATION):
        picture = Drive(seed, spec.camera_size or spec.input_size).frame(90)[0]
        yield network_pixels(picture, spec).transpose(2, 0, 1)[np.newaxis]


def write_forms(folder: Path, classes: int, size: Size) -> dict[str, Path]:
    """Write each form of the 8x enlargement behind scores of three channels, and ahead of an argmax."""
    forms = {
        "none": None,
        "dense": dense(classes, 1),
        "grouped": dense(classes, classes),
        "separable": separable(classes),
        "sub-pixel": sub_pixel(classes),
        "Resize": resize(),
    }
    random, files = np.random.default_rng(0), {}
    scores = random.normal(size=(classes, 3, 1, 1)).astype(np.float32)
    for name, form in forms.items():
        nodes = [helper.make_node("Conv", ["pixels", "scores"], ["x"], name="scores", kernel_shape=[1, 1])]
        nodes += list(form.node) if form else []
        nodes.append(helper.make_node("ArgMax", ["y" if form else "x"], ["ids"], name="ids", axis=1, keepdims=1))
        constants = [numpy_helper.from_array(scores, "scores"), *(form.initializer if form else [])]
        stride = 8 if form else 1
        out = Size(size.height * stride, size.width * stride)
        files[name] = _saved(folder / f"{name}.onnx", nodes, constants, size, TensorProto.INT64, [1, 1, *out], classes)
    return files


def write_products(folder: Path, channels: int, layers: int, size: Size) -> dict[str, Path]:
    """Write 1x1 convolutions of as many channels in as out, which are matrix products, in each precision."""
    return {
        precision: _product(folder / f"product-{precision}.onnx", precision, channels, layers, size)
        for precision in PRECISIONS
    }


def _product(path: Path, precision: str, channels: int, layers: int, size: Size) -> Path:
    random, nodes, constants = np.random.default_rng(0), [], []
    kind = np.float16 if precision == "fp16" else np.float32

    def weights(name: str, *shape: int) -> str:
        values = random.normal(size=(*shape, 1, 1)).astype(np.float32) / np.sqrt(shape[1])
        if precision != "int8" or shape[0] != shape[1]:
            constants.append(numpy_helper.from_array(values.astype(kind), name))
            return name
        return quantised(name, np.clip(np.round(values / 0.01), -127, 127).astype(np.int8), 0.01)

    def quantised(name: str, values: NDArray[np.int8] | None, step: float) -> str:
        constants.append(numpy_helper.from_array(np.array(step, np.float32), f"{name}.step"))
        constants.append(numpy_helper.from_array(np.array(0, np.int8), f"{name}.zero"))
        pair = [f"{name}.step", f"{name}.zero"]
        if values is None:
            nodes.append(helper.make_node("QuantizeLinear", [name, *pair], [f"{name}.q"], name=f"{name}.q"))
        else:
            constants.append(numpy_helper.from_array(values, f"{name}.q"))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}.q", *pair], [f"{name}.d"], name=f"{name}.d"))
        return f"{name}.d"

    tensor = "pixels"
    if precision == "fp16":
        nodes.append(helper.make_node("Cast", [tensor], ["half"], name="half", to=TensorProto.FLOAT16))
        tensor = "half"
    for index in range(layers + 2):
        ends = (channels, 3) if index == 0 else (3, channels) if index == layers + 1 else (channels, channels)
        inner = 0 < index <= layers
        source = quantised(tensor, None, 0.05) if precision == "int8" and inner else tensor
        tensor = f"t{index}"
        nodes.append(helper.make_node("Conv", [source, weights(f"w{index}", *ends)], [tensor], name=f"conv{index}"))
    nodes.append(helper.make_node("ArgMax", [tensor], ["ids"], name="ids", axis=1, keepdims=1))
    return _saved(path, nodes, constants, size, TensorProto.INT64, [1, 1, *size], 3, precision)


def _saved(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: list[onnx.TensorProto],
    size: Size,
    kind: int,
    shape: list[int],
    classes: int,
    precision: str = "fp32",
) -> Path:
    """Write a network from float pixels to class ids, and its spec beside it, where it is found."""
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 3, *size])
    graph = helper.make_graph(
        nodes, path.stem, [pixels], [helper.make_tensor_value_info("ids", kind, shape)], constants
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    colours = tuple((index, index, index) for index in range(classes))
    spec = ModelSpec(
        name=path.stem,
        architecture="foreign",
        encoder="none",
        input_size=size,
        colour_order="bgr",
        mean=(0.0, 0.0, 0.0),
        scale=(1 / 255,) * 3,
        classes=ClassMap(tuple(f"class {index}" for index in range(classes)), colours),
        precision=precision,
        tensors=Tensors("pixels", "nchw", "ids", "class_map"),
    )
    path.with_name(f"{path.name}.spec.json").write_text(spec.to_json())
    return path


def flops(path: Path) -> float:
    """Return the floating-point operations of a file's convolutions and products for one frame: two a product."""
    model = onnx.shape_inference.infer_shapes(onnx.load(str(path)))
    shapes = {
        each.name: [dimension.dim_value for dimension in each.type.tensor_type.shape.dim]
        for each in [*model.graph.value_info, *model.graph.output, *model.graph.input]
    }
    kernels = _kernels(model.graph)
    found = 0.0
    for node in model.graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            kernel = kernels[node.input[1]]
            places = shapes[node.output[0] if node.op_type == "Conv" else node.input[0]][2:]
            found += 2 * prod(kernel) * prod(places)
    return found


def _kernels(graph: onnx.GraphProto) -> dict[str, list[int]]:
    """Return the shapes of constants, those behind a DequantizeLinear, or a quantising pair, too."""
    found = {each.name: list(each.dims) for each in graph.initializer}
    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear", "Cast") and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    return found
