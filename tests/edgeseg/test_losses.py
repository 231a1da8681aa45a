"""The loss: ignored pixels, class weights."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgeseg.losses import class_weights, cross_entropy
from edgeseg.tf import keras, tf

EVEN = np.ones(3, np.float32)


def loss_and_gradient(class_maps: np.ndarray, logits: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        loss = cross_entropy(tf.constant(class_maps), variable, weights, 255)
    return float(loss), tape.gradient(loss, variable).numpy()


@pytest.fixture
def logits() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype(np.float32)


@pytest.fixture
def class_maps() -> np.ndarray:
    ids = np.random.default_rng(1).integers(0, 3, (2, 4, 5), dtype=np.uint8)
    ids[0, :2] = 255
    return ids


def test_ignored_pixels_have_no_influence(logits: np.ndarray, class_maps: np.ndarray) -> None:
    loss, gradient = loss_and_gradient(class_maps, logits, EVEN)
    ignored = class_maps == 255
    assert not gradient[ignored].any()
    assert (np.abs(gradient[~ignored]).sum(-1) > 0).all()
    moved = logits.copy()
    moved[ignored] += 100
    moved_loss, moved_gradient = loss_and_gradient(class_maps, moved, EVEN)
    assert moved_loss == loss
    np.testing.assert_array_equal(moved_gradient, gradient)


def test_it_is_keras_s_cross_entropy_when_all_weigh_the_same(logits: np.ndarray, class_maps: np.ndarray) -> None:
    expected = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)(class_maps, logits)
    assert loss_and_gradient(class_maps, logits, EVEN)[0] == pytest.approx(float(expected), rel=1e-6)


def test_weights_make_a_weighted_mean(logits: np.ndarray, class_maps: np.ndarray) -> None:
    weights = np.array([1, 2, 5], np.float32)
    total = weight_sum = 0.0
    for ids, scores in zip(class_maps.ravel(), logits.reshape(-1, 3), strict=True):
        if ids != 255:
            total -= weights[ids] * (scores[ids] - math.log(np.exp(scores.astype(float)).sum()))
            weight_sum += weights[ids]
    assert loss_and_gradient(class_maps, logits, weights)[0] == pytest.approx(total / weight_sum, rel=1e-5)


def test_a_batch_without_labels_costs_nothing(logits: np.ndarray) -> None:
    loss, gradient = loss_and_gradient(np.full((2, 4, 5), 255, np.uint8), logits, EVEN)
    assert loss == 0
    assert not gradient.any()


def test_class_weights() -> None:
    shares = np.array([0.0, 0.5, 1.0])
    np.testing.assert_allclose(class_weights(shares, "log"), [1 / math.log(1.1), 1 / math.log(1.6), 1 / math.log(2.1)])
    np.testing.assert_array_equal(class_weights(shares, "none"), 1)
