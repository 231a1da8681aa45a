"""The camera graph: the network between a head that takes camera frames and a tail that gives class maps.

Head and tail are written with onnx.helper: tf2onnx writes a resize with scales, whose rounding can lose a row, where
ONNX Runtime and TensorRT both take sizes. Each node is one that TensorRT's parser accepts: a uint8 input is cast
first, and class ids pass through float, since integer-to-uint8 casts are not supported there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgeseg.core.geometry import Box, Placement, Size, place
from edgeseg.core.spec import METADATA_KEY, ModelSpec

FRAME, CLASS_MAP, CONFIDENCE = "frame", "class_map", "confidence"
INPUT, OUTPUT = "pixels", "logits"  # of the network alone


def camera_graph(network: onnx.ModelProto, spec: ModelSpec, with_confidence: bool = False) -> onnx.ModelProto:
    """Join head, network and tail, and write the spec into the metadata.

    Args:
        network: from edgeseg.export.network.onnx_from_keras.
        spec: with camera_size set.
        with_confidence: add the output `confidence`.

    Returns:
        ONNX model from `frame` uint8 [1, H_cam, W_cam, 3] BGR to `class_map` uint8 [1, H_net, W_net] and, if asked for,
        `confidence` uint8 [1, H_net, W_net], 255 times the softmax maximum.
    """
    assert spec.camera_size is not None
    placement = place(spec.camera_size, spec.input_size, spec.fit, spec.crop)
    graph = _joined(_head(placement, spec), network, _tail(spec, with_confidence, _opset(network)))
    return _signed(graph, spec)


def raw_graph(network: onnx.ModelProto, spec: ModelSpec) -> onnx.ModelProto:
    """Return the network alone, from `pixels` float32 [1, 3, H, W] to `logits`, with its spec (without camera size)."""
    network.graph.name = "network"
    return _signed(network, spec)


def _signed(graph: onnx.ModelProto, spec: ModelSpec) -> onnx.ModelProto:
    graph.producer_name, graph.producer_version = "edgeseg", spec.versions.get("edgeseg", "")
    helper.set_model_props(graph, {METADATA_KEY: spec.to_json()})
    return graph


def with_camera(spec: ModelSpec, camera_size: Size | None) -> ModelSpec:
    """Return the spec of a camera graph for frames of `camera_size`, by default of the network's own size."""
    return replace(spec, camera_size=camera_size or spec.input_size)


def _joined(head: onnx.GraphProto, network: onnx.ModelProto, tail: onnx.GraphProto) -> onnx.ModelProto:
    """Put head and tail around the network, in the network's own opset and IR version.

    By hand, since onnx.compose copies every weight with each part, and these may be half a gigabyte.
    """
    joined = onnx.ModelProto()
    joined.ir_version = network.ir_version
    joined.opset_import.extend(network.opset_import)
    graph = joined.graph
    graph.name = "camera"
    graph.input.extend(head.input)
    graph.output.extend(tail.output)
    for part in (head, network.graph, tail):
        graph.node.extend(part.node)
        graph.initializer.extend(part.initializer)
    graph.value_info.extend(tail.input)  # by which a program without onnx knows how many classes are scored
    return joined


class _Builder:
    """Collects nodes and constants, all under one prefix, so that no name can meet one of the network's."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, op: str, inputs: list[str], name: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, inputs, [name], name=f"{self.prefix}_{op.lower()}_{name}", **attributes))
        return name

    def constant(self, name: str, values: np.ndarray) -> str:
        full = f"{self.prefix}_constant_{name}"
        self.constants.append(numpy_helper.from_array(values, full))
        return full

    def graph(self, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]) -> onnx.GraphProto:
        return helper.make_graph(self.nodes, self.prefix, inputs, outputs, self.constants)


def _head(placement: Placement, spec: ModelSpec) -> onnx.GraphProto:
    """Cast, cut, resize, normalise, pad: a camera frame becomes the network's input."""
    build = _Builder("head")
    x = build.node("Cast", [FRAME], "head_float", to=TensorProto.FLOAT)
    if placement.crops:
        x = _cut(build, x, placement.source)
    x = build.node("Transpose", [x], "head_nchw", perm=[0, 3, 1, 2])
    target = placement.target
    if (target.height, target.width) != (placement.source.height, placement.source.width):
        sizes = build.constant("sizes", np.array([1, 3, target.height, target.width], np.int64))
        x = build.node(
            "Resize", [x, "", "", sizes], "head_resized", mode="linear", coordinate_transformation_mode="half_pixel"
        )
    if spec.colour_order == "rgb":
        x = build.node("Gather", [x, build.constant("rgb", np.array([2, 1, 0], np.int64))], "head_rgb", axis=1)
    mean = build.constant("mean", np.array(spec.mean, np.float32).reshape(1, 3, 1, 1))
    scale = build.constant("scale", np.array(spec.scale, np.float32).reshape(1, 3, 1, 1))
    x = build.node("Sub", [x, mean], "head_centred")
    x = build.node("Mul", [x, scale], "head_scaled")
    if placement.pads:
        x = _pad(build, x, placement)
    build.nodes[-1].output[0] = INPUT
    frame = helper.make_tensor_value_info(FRAME, TensorProto.UINT8, [1, *placement.picture, 3])
    pixels = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [1, 3, *placement.network])
    return build.graph([frame], [pixels])


def _cut(build: _Builder, x: str, box: Box) -> str:
    starts = build.constant("cut_starts", np.array([box.y, box.x], np.int64))
    ends = build.constant("cut_ends", np.array([box.y + box.height, box.x + box.width], np.int64))
    axes = build.constant("cut_axes", np.array([1, 2], np.int64))
    return build.node("Slice", [x, starts, ends, axes], "head_cut")


def _pad(build: _Builder, x: str, placement: Placement) -> str:
    """Fill up with zeros: after normalisation they are the mean colour."""
    target, network = placement.target, placement.network
    right = network.width - target.x - target.width
    bottom = network.height - target.y - target.height
    pads = build.constant("pads", np.array([0, 0, target.y, target.x, 0, 0, bottom, right], np.int64))
    return build.node("Pad", [x, pads], "head_padded")


def _reduce_max(build: _Builder, opset: int) -> None:
    """Axes were an attribute until opset 18 made them an input."""
    if opset < 18:
        build.node("ReduceMax", ["tail_shares"], "tail_best", axes=[1], keepdims=0)
    else:
        axes = build.constant("axes", np.array([1], np.int64))
        build.node("ReduceMax", ["tail_shares", axes], "tail_best", keepdims=0)


def _opset(network: onnx.ModelProto) -> int:
    return next(int(each.version) for each in network.opset_import if each.domain in ("", "ai.onnx"))


def _tail(spec: ModelSpec, with_confidence: bool, opset: int) -> onnx.GraphProto:
    build = _Builder("tail")
    size = [1, *spec.input_size]
    build.node("ArgMax", [OUTPUT], "tail_ids", axis=1, keepdims=0)
    build.node("Cast", ["tail_ids"], "tail_float_ids", to=TensorProto.FLOAT)
    build.node("Cast", ["tail_float_ids"], CLASS_MAP, to=TensorProto.UINT8)
    outputs = [helper.make_tensor_value_info(CLASS_MAP, TensorProto.UINT8, size)]
    if with_confidence:
        build.node("Softmax", [OUTPUT], "tail_shares", axis=1)
        _reduce_max(build, opset)
        build.node("Mul", ["tail_best", build.constant("255", np.array(255, np.float32))], "tail_255")
        build.node("Round", ["tail_255"], "tail_whole")
        build.node("Cast", ["tail_whole"], CONFIDENCE, to=TensorProto.UINT8)
        outputs.append(helper.make_tensor_value_info(CONFIDENCE, TensorProto.UINT8, size))
    logits = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [1, len(spec.classes), *spec.input_size])
    return build.graph([logits], outputs)
