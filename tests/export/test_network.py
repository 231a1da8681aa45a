"""The conversion of the network alone: any Keras functional model, its large weights bound after tf2onnx."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from edgeseg.core.errors import ModelError
from edgeseg.core.geometry import Size
from edgeseg.export.network import in_float32, onnx_from_keras
from edgeseg.export.precision.quantise import Quantiser
from edgeseg.models.build import build_model
from edgeseg.tf import keras
from tests.helpers.colour_model import COLOUR_SPEC

SIZE = Size(64, 64)
SPEC = dataclasses.replace(COLOUR_SPEC, input_size=SIZE)
ENCODERS: dict[str, dict[str, Any]] = {
    "MobileNetV2": {},
    "MobileNetV3Large": {"include_preprocessing": False},
    "EfficientNetV2B0": {"include_preprocessing": False},
    "ResNet50": {},
}


def with_lived_in_batch_norms(model: Any) -> Any:
    """Give batch norms the statistics and scales of a trained model: untrained ones hide what is folded wrongly."""
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for variable in layer.variables:
                variable.assign(random.uniform(0.5, 1.5, variable.shape).astype(np.float32))
    return model


def segmenter(name: str) -> Any:
    encoder = getattr(keras.applications, name)(
        input_shape=(*SIZE, 3), include_top=False, weights=None, **ENCODERS[name]
    )
    scores = keras.layers.Conv2D(3, 1)(encoder.output)
    factor = SIZE.height // scores.shape[1]
    up = keras.layers.Conv2DTranspose(3, 2 * factor, strides=factor, padding="same", use_bias=False)(scores)
    return with_lived_in_batch_norms(keras.Model(encoder.input, up))


def agreement(model: Any, network: onnx.ModelProto) -> float:
    """The greatest error as a share of the greatest logit."""
    pixels = np.random.default_rng(1).normal(size=(1, *SIZE, 3)).astype(np.float32)
    wanted = np.asarray(model(pixels, training=False)).transpose(0, 3, 1, 2)
    session = onnxruntime.InferenceSession(network.SerializeToString(), providers=["CPUExecutionProvider"])
    written = session.run(None, {"pixels": pixels.transpose(0, 3, 1, 2)})[0]
    assert np.ptp(wanted) > 0
    return float(np.abs(written - wanted).max() / np.abs(wanted).max())


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_of_keras_applications_keep_their_logits_and_lose_their_batch_norms(name: str) -> None:
    model = segmenter(name)
    network = onnx_from_keras(model, SPEC)
    onnx.checker.check_model(network, full_check=True)
    assert agreement(model, network) < 1e-4
    operators = Counter(node.op_type for node in network.graph.node)
    assert operators["ConvTranspose"] == 1
    assert not {"BatchNormalization", "Sub", "Sqrt", "Reciprocal"} & operators.keys()
    constants = {each.name for each in network.graph.initializer}
    assert all(set(node.input) - constants for node in network.graph.node), "a node has constant inputs alone"


@pytest.mark.parametrize(("architecture", "adds"), [("fcn8", 2), ("unet", 0)])
def test_batch_norms_between_large_weights_are_folded(architecture: str, adds: int) -> None:
    model = with_lived_in_batch_norms(build_model(architecture, SIZE, 3, width=0.25))
    network = onnx_from_keras(model, SPEC)
    assert agreement(model, network) < 1e-4
    operators = Counter(node.op_type for node in network.graph.node)
    assert operators["Add"] == adds
    assert not {"Mul", "Transpose", "Reshape"} & operators.keys()
    assert [each.name for each in network.graph.input] == ["pixels"]


def test_a_scale_that_others_read_too_is_not_folded() -> None:
    image = keras.Input((*SIZE, 3))
    plain = keras.layers.Conv2D(160, 3, padding="same", use_bias=False)(keras.layers.Conv2D(160, 1)(image))
    scaled = keras.layers.BatchNormalization()(plain)
    model = with_lived_in_batch_norms(
        keras.Model(image, keras.layers.Conv2D(3, 1)(keras.layers.Add()([plain, scaled])))
    )
    assert agreement(model, onnx_from_keras(model, SPEC)) < 1e-4


def test_a_model_trained_in_bfloat16_is_written_in_float32() -> None:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = with_lived_in_batch_norms(build_model("fcn8", SIZE, 3, width=0.0625))
    finally:
        keras.config.set_dtype_policy(policy)
    network = onnx_from_keras(model, SPEC)
    assert {each.data_type for each in network.graph.initializer} == {onnx.TensorProto.FLOAT}
    assert agreement(in_float32(model), network) < 1e-4


def test_a_model_of_other_classes_than_its_spec_is_refused() -> None:
    with pytest.raises(ModelError, match=r"gives \(None, 64, 64, 5\); expected \(None, 64, 64, 3\)"):
        onnx_from_keras(build_model("fcn8", SIZE, 5, width=0.0625), SPEC)


def test_onnx_runtime_computes_relu6_inside_its_convolutions(tmp_path: Path) -> None:
    """In float as an activation, in int8's `cpu` form by the range that it rounds to: none is left on its own."""
    spec = dataclasses.replace(SPEC, input_size=Size(64, 96))
    model = build_model("unet", spec.input_size, 3, encoder="efficientnet_lite0", decoder="light", score_stride=4)
    network = onnx_from_keras(model, spec)
    frames = iter([np.random.default_rng(0).normal(size=(1, 3, 64, 96)).astype(np.float32)])
    for graph in (network, Quantiser(network, frames, "percentile", "cpu").reduced()):
        assert sum(node.op_type == "Clip" for node in graph.graph.node) == 32
        onnx.save(graph, str(tmp_path / "written.onnx"))
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(tmp_path / "run.onnx")
        options.log_severity_level = 3
        onnxruntime.InferenceSession(str(tmp_path / "written.onnx"), options, providers=["CPUExecutionProvider"])
        assert "Clip" not in {node.op_type for node in onnx.load(tmp_path / "run.onnx").graph.node}
