"""The losses: ignored pixels, class weights, hard pixels; against hand-worked values and Keras where Keras is right."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgeseg.tf import keras, tf
from edgeseg.training.losses import Pixels, SegmentationLoss, dice, hardest

EVEN = np.ones(3, np.float32)
WEIGHTS = np.array([1, 2, 5], np.float32)
ALL = ("cross_entropy", "focal", "dice")


def loss_and_gradient(
    loss: SegmentationLoss, class_maps: np.ndarray, logits: np.ndarray
) -> tuple[float, float, np.ndarray]:
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        value, mass = loss(tf.constant(class_maps), variable)
    return float(value), float(mass), tape.gradient(value, variable).numpy()


def loss_of(
    names: str, class_maps: np.ndarray, logits: np.ndarray, weights: np.ndarray = EVEN, **options: float
) -> float:
    loss = SegmentationLoss(tuple(names.split("+")), weights, 255, **options)
    return loss_and_gradient(loss, class_maps, logits)[0]


@pytest.fixture
def logits() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype(np.float32)


@pytest.fixture
def class_maps() -> np.ndarray:
    ids = np.random.default_rng(1).integers(0, 3, (2, 4, 5), dtype=np.uint8)
    ids[0, :2] = 255
    return ids


def labelled(class_maps: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Only the labelled pixels, one-hot (1, 1, N, 3), and their logits: what Keras gets right."""
    kept = class_maps != 255
    return np.eye(3, dtype=np.float32)[class_maps[kept]][None, None], logits[kept][None, None]


@pytest.mark.parametrize("name", [*ALL, "cross_entropy+dice", "focal+dice"])
@pytest.mark.parametrize("hard_pixels", [1.0, 0.4])
def test_ignored_pixels_have_no_influence(
    name: str, hard_pixels: float, logits: np.ndarray, class_maps: np.ndarray
) -> None:
    loss = SegmentationLoss(tuple(name.split("+")), WEIGHTS, 255, hard_pixels=hard_pixels)
    value, _, gradient = loss_and_gradient(loss, class_maps, logits)
    ignored = class_maps == 255
    assert not gradient[ignored].any()
    assert gradient[~ignored].any()
    moved = logits.copy()
    moved[ignored] += np.array([100, -100, np.inf])
    moved_value, _, moved_gradient = loss_and_gradient(loss, class_maps, moved)
    assert moved_value == value
    np.testing.assert_array_equal(moved_gradient, gradient)


def test_cross_entropy_is_keras_s_when_all_weigh_the_same(logits: np.ndarray, class_maps: np.ndarray) -> None:
    expected = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)(class_maps, logits)
    assert loss_of("cross_entropy", class_maps, logits) == pytest.approx(float(expected), rel=1e-6)


def test_weights_make_a_weighted_mean(logits: np.ndarray, class_maps: np.ndarray) -> None:
    total = weight_sum = 0.0
    for ids, scores in zip(class_maps.ravel(), logits.reshape(-1, 3), strict=True):
        if ids != 255:
            total -= WEIGHTS[ids] * (scores[ids] - math.log(np.exp(scores.astype(float)).sum()))
            weight_sum += WEIGHTS[ids]
    loss = SegmentationLoss(("cross_entropy",), WEIGHTS, 255)
    value, mass, _ = loss_and_gradient(loss, class_maps, logits)
    assert value == pytest.approx(total / weight_sum, rel=1e-5)
    assert mass == weight_sum


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_is_keras_s_over_the_labelled_pixels(gamma: float, logits: np.ndarray, class_maps: np.ndarray) -> None:
    truth, scores = labelled(class_maps, logits)
    expected = keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=gamma, from_logits=True)(truth, scores)
    assert loss_of("focal", class_maps, logits, focal_gamma=gamma) == pytest.approx(float(expected), rel=1e-5)


def test_focal_by_hand_and_where_all_is_right_already() -> None:
    """One pixel with p = 3/4: (1/4)^2 ln(4/3)."""
    scores = np.log(np.array([[[[3.0, 1.0]]]], np.float32))
    assert loss_of("focal", np.zeros((1, 1, 1), np.uint8), scores, EVEN[:2]) == pytest.approx(math.log(4 / 3) / 16)
    sure = np.array([[[[1000.0, 0.0]]]], np.float32)
    loss = SegmentationLoss(("focal",), EVEN[:2], 255, focal_gamma=0.5)
    value, _, gradient = loss_and_gradient(loss, np.zeros((1, 1, 1), np.uint8), sure)
    assert value == 0
    assert np.isfinite(gradient).all()


def test_dice_is_keras_s_over_the_labelled_pixels(logits: np.ndarray, class_maps: np.ndarray) -> None:
    truth, scores = labelled(class_maps, logits)
    expected = keras.losses.Dice(axis=(0, 1, 2))(truth, tf.nn.softmax(scores))
    assert loss_of("dice", class_maps, logits) == pytest.approx(float(expected), rel=1e-5)


def test_dice_by_hand_leaves_out_classes_that_are_not_there() -> None:
    """Two pixels of class 0 with p0 = 3/4 and 1/4; class 1 does not occur: 1 - 2 * 1 / (1 + 2) = 1/3."""
    scores = np.log(np.array([[[[3.0, 1.0], [1.0, 3.0]]]], np.float32))
    class_map = np.zeros((1, 1, 2), np.uint8)
    assert float(dice(Pixels.of(class_map, scores, EVEN[:2], 255))) == pytest.approx(1 / 3)


def test_losses_add_up(logits: np.ndarray, class_maps: np.ndarray) -> None:
    parts = [loss_of(name, class_maps, logits, WEIGHTS, hard_pixels=0.5) for name in ALL]
    assert loss_of("+".join(ALL), class_maps, logits, WEIGHTS, hard_pixels=0.5) == pytest.approx(sum(parts), rel=1e-6)


def test_the_hardest_pixels_of_each_picture_count() -> None:
    """Picture 1: losses of 4 labelled pixels, half are kept. Picture 2: one labelled pixel, it is kept."""
    true_scores = np.array([[[3.0, -1.0, 0.0, 1.0, -9.0]], [[2.0, -9.0, -9.0, -9.0, -9.0]]], np.float32)
    scores = np.stack([true_scores, np.zeros_like(true_scores)], axis=-1)
    class_maps = np.array([[[0, 0, 0, 0, 255]], [[0, 255, 255, 255, 255]]], np.uint8)
    pixels = hardest(Pixels.of(class_maps, scores, EVEN[:2], 255), 0.5)
    np.testing.assert_array_equal(pixels.weights.numpy(), [[[0, 1, 1, 0, 0]], [[1, 0, 0, 0, 0]]])
    expected = np.mean([math.log(1 + math.exp(-score)) for score in (-1, 0, 2)])
    assert loss_of("cross_entropy", class_maps, scores, EVEN[:2], hard_pixels=0.5) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("hard_pixels", [1.0, 0.5])
def test_a_batch_without_labels_costs_nothing(name: str, hard_pixels: float, logits: np.ndarray) -> None:
    loss = SegmentationLoss((name,), EVEN, 255, hard_pixels=hard_pixels)
    value, mass, gradient = loss_and_gradient(loss, np.full((2, 4, 5), 255, np.uint8), logits)
    assert (value, mass) == (0, 0)
    assert not gradient.any()
