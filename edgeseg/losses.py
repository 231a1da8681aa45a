"""Training losses over labelled pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.tf import tf


def class_weights(shares: NDArray[np.float64], balance: str) -> NDArray[np.float32]:
    """Return one weight a class, (classes,) float32.

    `log` is 1 / ln(1.10 + share), as in ENet (Paszke et al. 2016) with a milder constant than its 1.02: a rare class
    weighs up to ln 2.1 / ln 1.1 = 7.8 times as much as one that fills the picture. `none` weighs all equally.
    """
    if balance == "none":
        return np.ones(len(shares), np.float32)
    return (1 / np.log(1.10 + shares)).astype(np.float32)


def cross_entropy(class_maps: Any, logits: Any, weights: NDArray[np.float32], ignore_index: int) -> Any:
    """Return the weighted mean of the cross-entropy over the labelled pixels of the whole batch; 0 if there are none.

    Args:
        class_maps: (B, H, W) uint8 class ids; pixels of `ignore_index` have no influence.
        logits: (B, H, W, classes).
        weights: one a class; the mean divides by the sum of the weights that occur.
    """
    labelled = class_maps != ignore_index
    ids = tf.where(labelled, tf.cast(class_maps, tf.int32), 0)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=ids, logits=tf.cast(logits, tf.float32))
    pixel_weights = tf.where(labelled, tf.gather(weights, ids), 0.0)
    return tf.math.divide_no_nan(tf.reduce_sum(losses * pixel_weights), tf.reduce_sum(pixel_weights))
