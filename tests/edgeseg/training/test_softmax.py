"""The closed-form gradients: against finite differences, and the losses made of them against their textbook form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeseg.tf import tf
from edgeseg.training import softmax
from edgeseg.training.losses import SegmentationLoss, one_replica
from edgeseg.training.softmax import class_sums, cross_entropy_and_area

ALL = ("cross_entropy", "focal", "dice")
DEFAULT = ("cross_entropy", "dice")
IGNORE = 255
Array = NDArray[Any]


def differences(function: Callable[[Any], Any], x: Array, step: float = 1e-6) -> Array:
    """Return the gradient of a function's value, a scalar, by central differences, shaped like float64 `x`."""
    slopes = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        moved = np.zeros_like(x)
        moved[index] = step
        slopes[index] = (float(function(tf.constant(x + moved))) - float(function(tf.constant(x - moved)))) / (2 * step)
    return slopes


def gradient_of(function: Callable[[Any], Any], x: Array) -> Array:
    variable = tf.Variable(x)
    with tf.GradientTape() as tape:
        value = function(variable)
    gradient: Array = tape.gradient(value, variable).numpy()
    return gradient


@pytest.mark.parametrize("gpus", [0, 1])
def test_the_gradient_is_the_slope(gpus: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a function that is linear in neither the cross-entropies nor the areas; compiled and, for a GPU, not."""
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda _: [None] * gpus)
    monkeypatch.setattr(softmax, "_compiled_on_cpu", softmax._compiled_on_cpu.__wrapped__)  # without its cache
    random = np.random.default_rng(0)
    logits = random.normal(size=(6, 3)) * 2
    ids, labelled = random.integers(0, 3, 6, dtype=np.int32), np.array([True, True, False, True, True, True])
    pixel_weights, class_weights = random.normal(size=6), random.normal(size=3)

    def function(x: Any) -> Any:
        cross_entropy, area = cross_entropy_and_area(x, ids, labelled)
        return tf.reduce_sum(cross_entropy**2 * pixel_weights) + tf.reduce_sum(tf.exp(area / 2) * class_weights)

    gradient = gradient_of(function, logits)
    np.testing.assert_allclose(gradient, differences(function, logits), atol=1e-8)
    assert not gradient[2].any()


def test_class_sums_and_their_gradient() -> None:
    values, ids = np.array([[[1.0, 2.0], [4.0, 8.0]]]), np.array([[[0, 2], [2, 0]]], np.int32)
    np.testing.assert_array_equal(class_sums(tf.constant(values), ids, 4), [9, 0, 6, 0])
    gradient = gradient_of(lambda x: tf.reduce_sum(class_sums(x, ids, 4) ** 2), values)
    np.testing.assert_array_equal(gradient, [[[18, 12], [12, 18]]])


def textbook(
    names: tuple[str, ...], class_maps: Array, logits: Array, weights: Array, hard_pixels: float = 1.0
) -> tuple[float, Array]:
    """Return the loss and its gradient, in float64, of the labelled pixels alone, as TensorFlow derives it."""
    labelled = class_maps != IGNORE
    gradient = np.zeros(logits.shape)
    if not labelled.any():
        return 0.0, gradient
    truth = np.eye(logits.shape[-1])[class_maps[labelled]]
    scores = tf.Variable(logits[labelled].astype(np.float64))
    with tf.GradientTape() as tape:
        losses = tf.nn.softmax_cross_entropy_with_logits(truth, scores)
        counted = weights[class_maps[labelled]] * hard(losses.numpy(), np.nonzero(labelled)[0], hard_pixels)
        probabilities = tf.nn.softmax(scores)
        occurs = truth.sum(0) > 0
        overlap = tf.reduce_sum(probabilities * truth, 0)[occurs]
        areas = tf.reduce_sum(probabilities + truth, 0)[occurs]
        parts = {
            "cross_entropy": tf.reduce_sum(losses * counted) / counted.sum(),
            "focal": tf.reduce_sum(losses * (1 - tf.exp(-losses)) ** 2 * counted) / counted.sum(),
            "dice": tf.reduce_mean(1 - 2 * overlap / areas),
        }
        loss = tf.add_n([parts[name] for name in names])
    gradient[labelled] = tape.gradient(loss, scores)
    return float(loss), gradient


def hard(losses: Array, pictures: Array, share: float) -> NDArray[np.bool_]:
    """Return which of the pixels are among their picture's hardest ones."""
    chosen = np.zeros(len(losses), bool)
    for picture in np.unique(pictures):
        ranked = np.sort(losses[pictures == picture])[::-1]
        chosen |= (pictures == picture) & (losses >= ranked[int(np.ceil(len(ranked) * share)) - 1])
    return chosen


def fused(loss: SegmentationLoss, class_maps: Array, logits: Array, total: Any = one_replica) -> tuple[float, Array]:
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        value, _ = loss(tf.constant(class_maps), variable, total)
    return float(value), tape.gradient(value, variable).numpy()


def check(found: tuple[float, Array], expected: tuple[float, Array]) -> None:
    """Both agree to 1e-5, of the loss and of the largest gradient, or to what float32 resolves of a probability."""
    assert found[0] == pytest.approx(expected[0], rel=1e-5, abs=2e-7)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-5, atol=max(1e-5 * np.abs(expected[1]).max(), 2e-7))


def batch(seed: int, classes: int, ignored: float, spread: float = 1.0) -> tuple[Array, Array, Array]:
    """Return class maps (3, 6, 7), logits and class weights; one class, if there are more, never occurs."""
    random = np.random.default_rng(seed)
    class_maps = random.integers(0, max(classes - 1, 1), (3, 6, 7)).astype(np.uint8)
    class_maps[random.uniform(size=class_maps.shape) < ignored] = IGNORE
    logits = (random.normal(size=(*class_maps.shape, classes)) * spread).astype(np.float32)
    return class_maps, logits, random.uniform(0.2, 5, classes).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    classes=st.integers(1, 5),
    ignored=st.sampled_from([0.0, 0.3, 0.97, 1.0]),
    names=st.sampled_from([DEFAULT, ("cross_entropy",), ("dice",), ALL]),
    spread_and_share=st.sampled_from([(1.0, 1.0), (1.0, 0.3), (10.0, 1.0), (1e4, 1.0)]),
    rubbish=st.sampled_from([0.0, np.nan, np.inf, -np.inf, 1e38]),
)
def test_a_loss_and_its_gradient_are_the_textbook_s(
    seed: int,
    classes: int,
    ignored: float,
    names: tuple[str, ...],
    spread_and_share: tuple[float, float],
    rubbish: float,
) -> None:
    """Whatever the logits of ignored pixels are; with one class, without labels, with a class that does not occur."""
    spread, share = spread_and_share
    class_maps, logits, weights = batch(seed, classes, ignored, spread)
    expected = textbook(names, class_maps, logits, weights, share)
    logits[class_maps == IGNORE, 0] += rubbish
    found = fused(SegmentationLoss(names, weights, IGNORE, hard_pixels=share), class_maps, logits)
    check(found, expected)
    assert not found[1][class_maps == IGNORE].any()


@pytest.mark.parametrize("share", [1.0, 0.3])
@pytest.mark.parametrize("jit", [None, True])
def test_compiled_with_and_without_xla_it_is_the_same(jit: bool | None, share: float) -> None:
    class_maps, logits, weights = batch(1, 4, 0.3)
    logits_with_nan = np.where((class_maps == IGNORE)[..., None], np.float32(np.nan), logits)
    loss = SegmentationLoss(DEFAULT, weights, IGNORE, hard_pixels=share)

    @tf.function(jit_compile=jit)  # type: ignore[untyped-decorator]
    def step(class_maps: Any, logits: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value, _ = loss(class_maps, logits)
            scaled = value * 1024.0
        return value, tape.gradient(scaled, logits) / 1024.0

    value, gradient = step(tf.constant(class_maps), tf.constant(logits_with_nan))
    check((float(value), gradient.numpy()), textbook(DEFAULT, class_maps, logits, weights, share))


def test_replicas_gradients_are_the_whole_batch_s() -> None:
    """Each has its part of the sums, and the other's as a constant: what Distribution.total makes of them."""
    class_maps, logits, weights = batch(2, 4, 0.3)
    loss = SegmentationLoss(DEFAULT, weights, IGNORE, hard_pixels=0.3)
    halves = [slice(0, 1), slice(1, 3)]
    seen: list[list[Any]] = [[], []]
    for half, own in zip(halves, seen, strict=True):
        fused(loss, class_maps[half], logits[half], lambda x, own=own: own.append(x) or x)
    expected = textbook(DEFAULT, class_maps, logits, weights, 0.3)
    for half, others in zip(halves, reversed(seen), strict=True):
        rest = iter(others)
        found = fused(loss, class_maps[half], logits[half], lambda x, rest=rest: x + tf.stop_gradient(next(rest)))
        check(found, (expected[0], expected[1][half]))


def test_logits_of_half_precision_have_gradients_of_half_precision() -> None:
    class_maps, logits, weights = batch(3, 4, 0.3)
    half = tf.cast(logits, tf.bfloat16)
    variable = tf.Variable(half)
    loss = SegmentationLoss(DEFAULT, weights, IGNORE)
    with tf.GradientTape() as tape:
        value, _ = loss(tf.constant(class_maps), variable)
    expected = fused(loss, class_maps, tf.cast(half, tf.float32).numpy())
    assert float(value) == expected[0]
    np.testing.assert_array_equal(tape.gradient(value, variable), tf.cast(expected[1], tf.bfloat16))
