"""The fused batch norm is Keras's own, but for the time it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeseg.core.geometry import Size
from edgeseg.models.batch_norm import BatchNormalization
from edgeseg.models.build import build_model, load_model
from edgeseg.tf import keras, tf

SHAPE = (3, 5, 7, 6)


def trained(kind: Any, policy: str, **options: Any) -> tuple[Any, list[Any]]:
    """Return a layer after one training call, and what it gave: result, and gradients of input, gamma and beta."""
    random = np.random.default_rng(0)
    layer = kind(momentum=0.7, epsilon=1e-2, dtype=policy, **options)
    layer.build(SHAPE)
    layer.set_weights([random.normal(1, 0.2, weight.shape) for weight in layer.get_weights()])
    x = tf.constant(random.normal(2, 3, SHAPE), tf.float32 if policy == "float32" else tf.bfloat16)
    weights = tf.constant(random.normal(size=SHAPE), tf.float32)

    @tf.function  # type: ignore[untyped-decorator]
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = layer(x, training=True)
            loss = tf.reduce_sum(tf.cast(result, tf.float32) * weights)
        return [result, *tape.gradient(loss, [x, *(each.value for each in layer.trainable_variables)])]

    return layer, [np.asarray(tf.cast(each, tf.float32)) for each in step(x)]


@pytest.mark.parametrize(("policy", "tolerance"), [("float32", 2e-5), ("mixed_bfloat16", 2e-2)])
def test_results_gradients_and_statistics_are_keras_s(policy: str, tolerance: float) -> None:
    own, ours = trained(BatchNormalization, policy)
    library, theirs = trained(keras.layers.BatchNormalization, policy)
    for one, other in zip([*ours, *own.get_weights()], [*theirs, *library.get_weights()], strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * np.abs(other).max())
    x = np.random.default_rng(1).normal(size=SHAPE).astype(np.float32)
    for layer in (own, library):  # the same statistics: training left them alike, but not to the last digit
        layer.set_weights(library.get_weights())
    np.testing.assert_array_equal(
        tf.cast(own(x, training=False), tf.float32), tf.cast(library(x, training=False), tf.float32)
    )


def test_frozen_ones_use_and_keep_their_statistics() -> None:
    layer = BatchNormalization(trainable=False)
    layer.build(SHAPE)
    layer.set_weights([np.full(weight.shape, 4.0) for weight in layer.get_weights()])
    x = np.ones(SHAPE, np.float32)
    np.testing.assert_allclose(layer(x, training=True), 4 * (x - 4) / np.sqrt(4 + 1e-3) + 4, rtol=1e-5)
    assert all(np.all(weight == 4) for weight in layer.get_weights())


def test_a_saved_network_has_it_still(tmp_path: Path) -> None:
    model = build_model("fcn8", Size(32, 32), 3, encoder="compact", width=0.125)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    kinds = {type(layer) for layer in loaded.layers if isinstance(layer, keras.layers.BatchNormalization)}
    assert kinds == {BatchNormalization}
    pixels = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype(np.float32)
    np.testing.assert_array_equal(loaded(pixels), model(pixels))
