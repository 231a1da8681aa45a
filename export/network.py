"""The network alone, from Keras to ONNX, its transposed convolutions intact."""

from __future__ import annotations

import logging
from typing import Any

import onnx

from edgeseg.errors import ModelError
from edgeseg.spec import ModelSpec
from edgeseg.tf import tf

OPSET = 17
IR_VERSION = 8  # onnx writes newer ones that ONNX Runtime and TensorRT of JetPack 6 do not read
INPUT, OUTPUT = "pixels", "logits"


def onnx_from_keras(model: Any, spec: ModelSpec) -> onnx.ModelProto:
    """Convert a Keras network.

    A fixed input shape keeps each Conv2DTranspose one ConvTranspose: a free height or width would bring Shape, Slice
    and Pad chains.

    Args:
        model: keras.Model from (N, H, W, 3) normalised pixels to (N, H, W, classes) logits.
        spec: for the input size and the number of classes.

    Returns:
        ONNX model from `pixels` float32 [1, 3, H, W] to `logits` float32 [1, classes, H, W].

    Raises:
        ModelError: the model's output does not fit the spec, or it holds something that ONNX cannot say.
    """
    expected = (None, *spec.input_size, len(spec.classes))
    if tuple(model.output_shape) != expected:
        raise ModelError(f"the model gives {model.output_shape}; expected {expected} by its spec: train it again")
    graph = _converted(model, spec)
    graph.ir_version = IR_VERSION
    _rename(graph.graph, graph.graph.output[0].name, OUTPUT)
    return graph


def _converted(model: Any, spec: ModelSpec) -> onnx.ModelProto:
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    signature = [tf.TensorSpec((1, *spec.input_size, 3), tf.float32, name=INPUT)]

    def forward(pixels: Any) -> Any:
        return model(pixels, training=False)

    try:
        graph, _ = tf2onnx.convert.from_function(
            tf.function(forward, input_signature=signature),
            input_signature=signature,
            opset=OPSET,
            inputs_as_nchw=[INPUT],
            outputs_as_nchw=["Identity:0"],  # the name that tf.function gives its one result
        )
    except (ValueError, TypeError, RuntimeError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"the model cannot be converted to ONNX ({reason}); use layers that tf2onnx knows") from error
    return graph


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name == old:
                    names[i] = new
    for value in (*graph.output, *graph.value_info):
        if value.name == old:
            value.name = new
