"""Training losses over labelled pixels: cross-entropy, focal, Dice, and sums of them.

Each is a quotient of sums over the whole batch. `total` makes a sum over one replica's part of it the sum over all
parts, so that several replicas compute what one would: the sums are added up before they are divided.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeseg.tf import tf
from edgeseg.training.softmax import class_sums, cross_entropy_and_area

Total = Callable[[Any], Any]


class Pixels(NamedTuple):
    """A batch as the losses see it: what ignored pixels hold has no influence.

    Attributes:
        ids: (B, H, W) int32 class ids, 0 where ignored.
        labelled: (B, H, W) bool.
        weights: (B, H, W) float32: the class's weight, 0 where ignored.
        cross_entropy: (B, H, W) float32, 0 where ignored.
        predicted_area: (classes,) float32, the sums of the classes' probabilities.
    """

    ids: Any
    labelled: Any
    weights: Any
    cross_entropy: Any
    predicted_area: Any

    @classmethod
    def of(cls, class_maps: Any, logits: Any, weights: NDArray[np.float32], ignore_index: int) -> Pixels:
        """Take (B, H, W) uint8 class ids and (B, H, W, classes) logits of any float type."""
        labelled = class_maps != ignore_index
        ids = tf.where(labelled, tf.cast(class_maps, tf.int32), 0)
        rows = tf.reshape(tf.cast(logits, tf.float32), (-1, logits.shape[-1]))
        losses, predicted_area = cross_entropy_and_area(rows, tf.reshape(ids, (-1,)), tf.reshape(labelled, (-1,)))
        pixel_weights = tf.where(labelled, tf.gather(weights, ids), 0.0)
        return cls(ids, labelled, pixel_weights, tf.reshape(losses, tf.shape(ids)), predicted_area)


def one_replica(x: Any) -> Any:
    """The total where there is but one replica."""
    return x


def cross_entropy(pixels: Pixels, total: Total = one_replica) -> Any:
    """Return the weighted mean cross-entropy, divided by the sum of the weights; 0 if nothing is labelled."""
    return _weighted_mean(pixels.cross_entropy, pixels.weights, total)


def focal(pixels: Pixels, gamma: float, total: Total = one_replica) -> Any:
    """Return the weighted mean of (1 - p)^gamma times the cross-entropy (Lin et al. 2017); p of the true class."""
    wrong = tf.maximum(-tf.math.expm1(-pixels.cross_entropy), 1e-7)  # a gamma below 1 has no gradient at 0
    return _weighted_mean(wrong**gamma * pixels.cross_entropy, pixels.weights, total)


def dice(pixels: Pixels, total: Total = one_replica) -> Any:
    """Return 1 - the soft Dice coefficient, the mean over the classes that are labelled in the batch; 0 if none is.

    Every class counts alike, whatever its weight (Milletari et al. 2016, with the plain sum below the fraction).
    """
    classes = pixels.predicted_area.shape[0]
    labelled = tf.cast(pixels.labelled, tf.float32)
    probabilities = tf.exp(-pixels.cross_entropy) * labelled  # of the true classes
    overlap, area = (class_sums(values, pixels.ids, classes) for values in (probabilities, labelled))
    overlap, predicted_area, area = tf.unstack(total(tf.stack([overlap, pixels.predicted_area, area])))
    occurs = tf.cast(area > 0, tf.float32)
    lost = 1 - tf.math.divide_no_nan(2 * overlap, predicted_area + area)
    return tf.math.divide_no_nan(tf.reduce_sum(lost * occurs), tf.reduce_sum(occurs))


def hardest(pixels: Pixels, share: float) -> Pixels:
    """Leave only each picture's labelled pixels of the greatest cross-entropy a weight (Shrivastava et al. 2016).

    Chosen within a picture, so that the choice depends neither on the batch nor on how replicas share it. At least
    one pixel stays; pixels exactly as hard as the last one stay too.
    """
    pictures = tf.shape(pixels.labelled)[0]
    losses = tf.reshape(tf.where(pixels.labelled, pixels.cross_entropy, -1.0), (pictures, -1))
    labelled = tf.reduce_sum(tf.cast(losses >= 0, tf.float32), axis=1)
    last = tf.maximum(tf.cast(tf.math.ceil(labelled * share), tf.int32), 1) - 1
    bar = tf.gather(tf.sort(losses, axis=1, direction="DESCENDING"), last, batch_dims=1)
    keep = tf.stop_gradient(pixels.cross_entropy) >= bar[:, None, None]
    return pixels._replace(weights=tf.where(keep, pixels.weights, 0.0))


class SegmentationLoss:
    """The loss of a training: a sum of losses.

    Args:
        names: of `cross_entropy`, `focal`, `dice`.
        weights: one a class, (classes,) float32, for cross-entropy and focal.
        ignore_index: the class id of pixels without a label.
        focal_gamma: how little what is nearly right counts in `focal`.
        hard_pixels: share of each picture's labelled pixels that count in cross-entropy and focal.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        weights: NDArray[np.float32],
        ignore_index: int,
        focal_gamma: float = 2.0,
        hard_pixels: float = 1.0,
    ) -> None:
        self.names, self.weights, self.ignore_index = names, weights, ignore_index
        self.focal_gamma, self.hard_pixels = focal_gamma, hard_pixels

    def __call__(self, class_maps: Any, logits: Any, total: Total = one_replica) -> tuple[Any, Any]:
        """Return the loss of a batch and the sum of its pixels' weights, both scalars.

        Args:
            class_maps: (B, H, W) uint8 class ids; pixels of the ignore index have no influence.
            logits: (B, H, W, classes).
            total: see the module.
        """
        pixels = Pixels.of(class_maps, logits, self.weights, self.ignore_index)
        mass = total(tf.reduce_sum(pixels.weights))
        mined = hardest(pixels, self.hard_pixels) if self.hard_pixels < 1 else pixels
        losses = {
            "cross_entropy": lambda: cross_entropy(mined, total),
            "focal": lambda: focal(mined, self.focal_gamma, total),
            "dice": lambda: dice(pixels, total),
        }
        return tf.add_n([losses[name]() for name in self.names]), mass


def _weighted_mean(values: Any, weights: Any, total: Total) -> Any:
    value, weight = tf.unstack(total(tf.stack([tf.reduce_sum(values * weights), tf.reduce_sum(weights)])))
    return tf.math.divide_no_nan(value, weight)
