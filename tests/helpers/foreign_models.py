"""Models as others write them, and a picture on which their masks can be compared."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeseg.core.geometry import Size
from edgeseg.core.spec import ModelSpec
from edgeseg.core.tensors import Tensors


def foreign_model(
    path: Path,
    spec: ModelSpec,
    layout: str = "nchw",
    gives: str = "logits",
    batch: object = 1,
    shrink: int = 1,
    kind: int = TensorProto.FLOAT,
) -> Path:
    """Write the colour network as others would: `layout` in and out, a batch that may be free, a smaller output."""
    height, width = spec.input_size
    order = [2, 1, 0] if spec.colour_order == "rgb" else [0, 1, 2]
    half = np.float16 if kind == TensorProto.FLOAT16 else np.float32
    weights = np.eye(3, dtype=half)[order].reshape(3, 3, 1, 1)
    nhwc = layout == "nhwc"
    nodes = [helper.make_node("Transpose", ["image"], ["x"], perm=[0, 3, 1, 2])] if nhwc else []
    nodes.append(helper.make_node("Conv", ["x" if nhwc else "image", "weights"], ["scores"], strides=[shrink, shrink]))
    last, out_kind = "scores", kind
    shape: list[Any] = [batch, 3, height // shrink, width // shrink]
    if gives == "probabilities":
        nodes.append(helper.make_node("Softmax", [last], ["shares"], axis=1))
        last = "shares"
    if gives == "class_map":
        nodes.append(helper.make_node("ArgMax", [last], ["ids"], axis=1, keepdims=1))
        last, out_kind, shape = "ids", TensorProto.INT64, [batch, 1, height // shrink, width // shrink]
    elif nhwc:
        nodes.append(helper.make_node("Transpose", [last], ["last"], perm=[0, 2, 3, 1]))
        last, shape = "last", [batch, height // shrink, width // shrink, 3]
    graph = helper.make_graph(
        [*nodes, helper.make_node("Abs", ["scores"], ["auxiliary"])],
        "foreign",
        [
            helper.make_tensor_value_info(
                "image", kind, [batch, height, width, 3] if nhwc else [batch, 3, height, width]
            )
        ],
        [
            helper.make_tensor_value_info("auxiliary", kind, [batch, 3, height // shrink, width // shrink]),
            helper.make_tensor_value_info(last, out_kind, shape),
        ],
        [numpy_helper.from_array(weights, "weights")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    tensors = Tensors("image", layout, last, gives)
    path.with_suffix(".json").write_text(dataclasses.replace(spec, tensors=tensors).to_json())
    return path


def noise(size: Size) -> NDArray[np.uint8]:
    coarse = np.random.default_rng(0).integers(0, 256, (9, 16, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (size.width, size.height), interpolation=cv2.INTER_CUBIC), np.uint8)
