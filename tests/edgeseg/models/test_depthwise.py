"""Convolutions of each channel by itself: what they compute, and that they learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeseg.core.geometry import Size
from edgeseg.models.bilinear import bilinear_kernel
from edgeseg.models.build import build_model, load_model
from edgeseg.models.depthwise import DepthwiseConv2D, DepthwiseConv2DTranspose
from edgeseg.models.options import NetworkOptions
from edgeseg.tf import keras, tf


def with_gradients(layer: Any, x: Any) -> list[Any]:
    @tf.function  # type: ignore[untyped-decorator]
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = layer(x)
            loss = tf.reduce_sum(tf.cast(result, tf.float32) ** 2)
        return [result, *tape.gradient(loss, [x, layer.kernel.value])]

    return [np.asarray(tf.cast(each, tf.float32)) for each in step(x)]


@pytest.mark.parametrize(("kernel", "strides"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_bfloat16_gives_keras_s_results_and_gradients(kernel: int, strides: int) -> None:
    x = tf.random.stateless_normal((2, 12, 16, 8), (0, 1))
    own = DepthwiseConv2D(kernel, strides, padding="same", use_bias=False, dtype="mixed_bfloat16")
    library = keras.layers.DepthwiseConv2D(kernel, strides, padding="same", use_bias=False)
    for layer in (own, library):
        layer.build(x.shape)
    library.set_weights(own.get_weights())
    for ours, theirs in zip(with_gradients(own, tf.cast(x, tf.bfloat16)), with_gradients(library, x), strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, atol=0.02 * np.abs(theirs).max())
    np.testing.assert_array_equal(own(tf.cast(x, tf.bfloat16)), with_gradients(own, tf.cast(x, tf.bfloat16))[0])


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_the_transposed_one_is_keras_s_with_a_diagonal_kernel(factor: int) -> None:
    x = tf.random.stateless_normal((2, 6, 5, 3), (0, 1))
    own = DepthwiseConv2DTranspose(2 * factor, factor)
    library = keras.layers.Conv2DTranspose(3, 2 * factor, factor, padding="same", use_bias=False)
    for layer in (own, library):
        layer.build(x.shape)
    np.testing.assert_array_equal(own.kernel[:, :, 1, 0], bilinear_kernel(2 * factor))
    own.set_weights([np.random.default_rng(0).normal(size=own.kernel.shape)])
    library.set_weights([own.get_weights()[0] * np.eye(3)])
    ours, theirs = with_gradients(own, x), with_gradients(library, x)
    np.testing.assert_allclose(ours[0], theirs[0], atol=1e-5)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ours[2][..., 0], np.einsum("ijcc->ijc", theirs[2]), rtol=1e-4, atol=1e-3)
    assert own.compute_output_shape(x.shape) == ours[0].shape == (2, 6 * factor, 5 * factor, 3)


@pytest.mark.parametrize(
    "options",
    [
        NetworkOptions("unet", "efficientnet_lite0", decoder="light", decoder_width=16, score_stride=4),
        NetworkOptions("fcn8", "compact", width=0.25),
    ],
    ids=lambda each: each.name,
)
def test_a_saved_network_has_them_still(options: NetworkOptions, tmp_path: Path) -> None:
    model = build_model(options, Size(64, 64), 3)
    model.save(tmp_path / "model.keras")
    pixels = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype(np.float32)
    np.testing.assert_array_equal(load_model(tmp_path / "model.keras")(pixels), model(pixels))


def test_dense_kernels_are_there_for_who_asks_and_frozen_ones_stay() -> None:
    per_class = build_model("fcn8", Size(64, 64), 3, encoder="compact")
    assert isinstance(per_class.get_layer("logits"), DepthwiseConv2DTranspose)
    dense = build_model("fcn8", Size(64, 64), 3, encoder="compact", upsampling_kernel="dense")
    assert dense.get_layer("logits").kernel.shape == (16, 16, 3, 3)
    frozen = build_model("fcn8", Size(64, 64), 3, encoder="compact", freeze_upsampling=True)
    assert len(frozen.trainable_variables) == len(per_class.trainable_variables) - 3
