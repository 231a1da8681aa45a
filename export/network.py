"""The network alone, from Keras to ONNX, its transposed convolutions intact."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import numpy as np
import onnx

from edgeseg.core.errors import ModelError, one_line
from edgeseg.core.spec import ModelSpec
from edgeseg.export.camera_graph import INPUT, OUTPUT
from edgeseg.export.folding import bind_weights
from edgeseg.export.settings import OPSET
from edgeseg.tf import tf

IR_VERSION = 8  # onnx writes newer ones that ONNX Runtime and TensorRT of JetPack 6 do not read
WEIGHT = "weight_"
SMALL_WEIGHT = 2**14  # numbers
MAX_BYTES = 2**31 - 2**24  # protobuf ends at 2 GiB; the graph besides the weights takes a little


def onnx_from_keras(model: Any, spec: ModelSpec, opset: int = OPSET) -> onnx.ModelProto:
    """Convert a Keras network.

    A fixed input shape keeps each Conv2DTranspose one ConvTranspose: a free height or width would bring Shape, Slice
    and Pad chains.

    Args:
        model: keras.Model from (N, H, W, 3) normalised pixels to (N, H, W, classes) logits.
        spec: for the input size and the number of classes.
        opset: version of the ONNX operators to write.

    Returns:
        ONNX model from `pixels` float32 [1, 3, H, W] to `logits` float32 [1, classes, H, W].

    Raises:
        ModelError: the model's output does not fit the spec, it holds something that ONNX cannot say, or it is too
            large for one file.
    """
    model = in_float32(model)
    expected = (None, *spec.input_size, len(spec.classes))
    if tuple(model.output_shape) != expected:
        raise ModelError(f"the model gives {model.output_shape}; expected {expected} by its spec: train it again")
    if (size := 4 * model.count_params()) > MAX_BYTES:
        raise ModelError(
            f"the model's {model.count_params():,} parameters take {size / 1e9:.1f} GB in float32; one ONNX file holds "
            f"{MAX_BYTES / 1e9:.1f} GB: train a narrower network (--width)"
        )
    graph = _converted(model, spec, opset)
    graph.ir_version = IR_VERSION
    domains = {node.domain for node in graph.graph.node}
    for each in [each for each in graph.opset_import if each.domain not in domains]:
        graph.opset_import.remove(each)
    _rename(graph.graph, {graph.graph.output[0].name: OUTPUT})
    _name_as_layers(graph.graph, {layer.name for layer in model.layers})
    return graph


def in_float32(model: Any) -> Any:
    """Return a model that computes in float32, with the same weights: one trained in mixed_bfloat16 does not."""
    if all(layer.compute_dtype == "float32" for layer in model.layers):
        return model
    config = _without_policies(model.get_config())
    plain = type(model).from_config(config)
    plain.set_weights(model.get_weights())
    return plain


def _without_policies(config: Any) -> Any:
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return "float32"
        return {key: _without_policies(value) for key, value in config.items()}
    return [_without_policies(each) for each in config] if isinstance(config, list) else config


def _converted(model: Any, spec: ModelSpec, opset: int) -> onnx.ModelProto:
    """Convert with the large weights as inputs, and bind them afterwards.

    As constants they pass through TensorFlow's and tf2onnx's graphs many times over: 134 million parameters took more
    than 24 GB so. The small ones stay constants, since that lets both libraries simplify the graph.
    """
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    large = {f"{WEIGHT}{i}": each for i, each in enumerate(variables) if math.prod(each.shape) > SMALL_WEIGHT}
    small = {f"{WEIGHT}{i}": np.asarray(each) for i, each in enumerate(variables) if f"{WEIGHT}{i}" not in large}
    signature = [tf.TensorSpec((1, *spec.input_size, 3), tf.float32, name=INPUT)]
    signature += [tf.TensorSpec(weight.shape, weight.dtype, name=name) for name, weight in large.items()]

    def forward(pixels: Any, *inputs: Any) -> Any:
        given = {**small, **dict(zip(large, inputs, strict=True))}
        values = [given[f"{WEIGHT}{i}"] for i in range(len(variables))]
        split = len(model.trainable_variables)
        logits, _ = model.stateless_call(values[:split], values[split:], pixels, training=False)
        return logits

    try:
        graph, _ = tf2onnx.convert.from_function(
            tf.function(forward, input_signature=signature),
            input_signature=signature,
            opset=opset,
            inputs_as_nchw=[INPUT],
            outputs_as_nchw=["Identity:0"],  # the name that tf.function gives its one result
        )
    except (ValueError, TypeError, RuntimeError, NotImplementedError) as error:
        reason = one_line(error, 200)
        raise ModelError(f"the model cannot be converted to ONNX ({reason}); use layers that tf2onnx knows") from error
    if unknown := sorted({node.op_type for node in graph.graph.node if not _is_known(node, opset)}):
        raise ModelError(f"ONNX has no operator for the model's {', '.join(unknown)}; use layers that tf2onnx knows")
    bind_weights(graph.graph, {name: partial(np.asarray, weight) for name, weight in large.items()})
    return graph


def _is_known(node: onnx.NodeProto, opset: int) -> bool:
    return bool(node.domain in ("", "ai.onnx") and onnx.defs.has(node.op_type, opset))


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*graph.output, *graph.value_info, *graph.initializer):
        value.name = names.get(value.name, value.name)


def _name_as_layers(graph: onnx.GraphProto, layers: Collection[str]) -> None:
    """Call scopes as the layers are called: TensorFlow counts them, so that `conv` is `conv_1/Conv2D:0`."""
    nodes = {name for node in graph.node for name in (node.name, *node.output, *node.input)}
    scopes = {name.partition("/")[0] for name in nodes if "/" in name}
    plain = {scope: re.sub(r"_\d+$", "", scope) for scope in scopes - set(layers)}
    layer_of = {scope: name for scope, name in plain.items() if name in layers and name not in scopes}

    def renamed(name: str) -> str:
        scope, slash, rest = name.partition("/")
        return f"{layer_of[scope]}/{rest}" if slash and scope in layer_of else name

    _rename(graph, {name: renamed(name) for name in nodes})
    for node in graph.node:
        node.name = renamed(node.name)
