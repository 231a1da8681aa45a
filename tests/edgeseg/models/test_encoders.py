"""Encoders compute what keras.applications' do, and their pixels are what its own preprocessing gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeseg.core.geometry import Size
from edgeseg.models.applications import library_model
from edgeseg.models.build import build_model
from edgeseg.models.depthwise import DepthwiseConv2DTranspose
from edgeseg.models.features import Features, encode
from edgeseg.models.inputs import network_input
from edgeseg.models.options import NetworkOptions
from edgeseg.models.registry import ENCODERS
from edgeseg.tf import keras
from tests.helpers.networks import spec_of

TRANSPOSED = (keras.layers.Conv2DTranspose, DepthwiseConv2DTranspose)
LIBRARY = [name for name, encoder in ENCODERS.items() if encoder.imagenet_widths and not encoder.weights_package]
SIZE = Size(64, 96)


def library_pixels(encoder: str, rgb: Any) -> Any:
    """What the library itself does to RGB pixels of 0 to 255."""
    if encoder == "mobilenet_v3":
        return layers_until(keras.applications.MobileNetV3Large(weights=None, input_shape=(*SIZE, 3)), "conv")(rgb)
    if encoder == "efficientnet_v2_b0":
        model = keras.applications.EfficientNetV2B0(weights=None, include_top=False, input_shape=(*SIZE, 3))
        return layers_until(model, "stem_conv")(rgb)
    module = {"vgg16": "vgg16", "resnet50": "resnet50", "mobilenet_v2": "mobilenet_v2"}[encoder]
    return getattr(keras.applications, module).preprocess_input(rgb.copy())


def layers_until(model: Any, name: str) -> Any:
    return keras.Model(model.input, model.get_layer(name).input)


@pytest.mark.parametrize("encoder", LIBRARY)
def test_pixels_are_as_the_library_prepares_them(encoder: str) -> None:
    bgr = np.random.default_rng(0).integers(0, 256, (1, *SIZE, 3), dtype=np.uint8)
    pretrained = NetworkOptions("fcn8", encoder, pretrained=True, batch_norm=False)
    ours = np.asarray(network_input(bgr, spec_of(pretrained)))
    np.testing.assert_allclose(ours, library_pixels(encoder, bgr[..., ::-1].astype(np.float32)), atol=1e-4)


@pytest.mark.parametrize("encoder", LIBRARY)
def test_features_are_the_library_s(encoder: str) -> None:
    """With the same weights, statistics of batch norm included, to the last of 200 layers."""
    features, model = built(NetworkOptions("fcn8", encoder, width=1.0, batch_norm=False))
    library = library_model(encoder, (*SIZE, 3))
    random = np.random.default_rng(1)
    for layer in library.layers:
        if layer.weights:
            layer.set_weights([weight * random.uniform(0.9, 1.1, weight.shape) for weight in layer.get_weights()])
            model.get_layer(layer.name).set_weights(layer.get_weights())
    pixels = random.normal(size=(2, *SIZE, 3)).astype(np.float32)
    expected = np.asarray(library(pixels))
    assert expected.std() > 0
    np.testing.assert_allclose(np.asarray(model(pixels)), expected, rtol=1e-5, atol=1e-6)
    assert not any(isinstance(x, keras.layers.ZeroPadding2D) and x.name != "conv1_pad" for x in model.layers)
    assert {stride: tuple(x.shape[1:3]) for stride, x in features.skips.items()} == {
        stride: (SIZE.height // stride, SIZE.width // stride) for stride in features.skips
    }
    assert set(features.skips) >= {2, 4, 8, 16}


def built(options: NetworkOptions) -> tuple[Features, Any]:
    image = keras.Input((*SIZE, 3))
    features = encode(image, options)
    return features, keras.Model(image, features.deepest)


def test_the_gate_lets_the_whole_picture_speak() -> None:
    """A change in one corner reaches the features of the opposite one, too far for any convolution."""
    image = keras.Input((32, 1024, 3))
    model = keras.Model(image, encode(image, NetworkOptions("fcn8", "compact", width=0.25)).deepest)
    pixels = np.random.default_rng(0).normal(size=(1, 32, 1024, 3)).astype(np.float32)
    changed = pixels.copy()
    changed[:, :, :32] += 3
    difference = np.abs(np.asarray(model(changed)) - np.asarray(model(pixels)))
    assert difference[0, 0, -1].max() > 1e-6


def test_frozen_bilinear_kernels_stay_and_mixing_ones_learn() -> None:
    frozen = NetworkOptions("fcn8", "compact", decoder="wide", freeze_upsampling=True)
    model = build_model(frozen, Size(64, 64), 3)
    layers = {x.name: x.trainable for x in model.layers if isinstance(x, TRANSPOSED)}
    assert layers == {"up_deepest": True, "up_pool4": True, "logits": True}
    published = build_model("fcn8", Size(64, 64), 3, encoder="compact", freeze_upsampling=True)
    assert not any(x.trainable for x in published.layers if isinstance(x, TRANSPOSED))
    before = build_model("fcn8", Size(64, 64), 3, encoder="compact")
    assert len(before.trainable_variables) == len(published.trainable_variables) + 3


def test_skip_scales_are_the_published_ones() -> None:
    model = build_model("fcn8", Size(64, 64), 3, batch_norm=False, skip_scales=True, width=0.0625)
    assert (model.get_layer("scale_pool3").scale, model.get_layer("scale_pool4").scale) == (1e-4, 1e-2)
    assert model.get_layer("score_pool3").input is model.get_layer("scale_pool3").output


def test_the_wide_decoder_adds_raw_pools() -> None:
    model = build_model("fcn8", Size(64, 64), 5, decoder="wide", width=0.125)
    pools = {name: model.get_layer(name).output for name in ("pool3", "pool4")}
    assert [x.shape[-1] for x in pools.values()] == [32, 64]
    assert any(x is pools["pool4"] for x in model.get_layer("add_pool4").input)
    assert any(x is pools["pool3"] for x in model.get_layer("add_pool3").input)
    assert model.get_layer("up_fc7").kernel.shape == (4, 4, 64, 5)
