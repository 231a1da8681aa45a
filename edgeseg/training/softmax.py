"""What the losses need of the softmax, with gradients in closed form: one pass forward, one back, one tensor kept.

Left to TensorFlow, cross-entropy and Dice each compute the softmax anew, and keep half a dozen tensors of the logits'
size for their gradients: twice the time, and most of the memory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from edgeseg.tf import tf


@tf.custom_gradient  # type: ignore[untyped-decorator]
def cross_entropy_and_area(logits: Any, ids: Any, labelled: Any) -> Any:
    """Return each pixel's cross-entropy, (N,), 0 where ignored, and the sum of each class's probability, (classes,).

    Where the gradient of a loss is a in a pixel's cross-entropy -log p_y, and b_k in the sum of the p_k, it is
    p_k (a + b_k - sum_j b_j p_j) - a [k = y] in the pixel's logit z_k, since dp_j / dz_k = p_j ([j = k] - p_k).

    Args:
        logits: (N, classes) floats; where ignored they have no influence, even if they are no numbers.
        ids: (N,) int32 class ids, any valid one where ignored.
        labelled: (N,) bool.
    """
    log_probabilities = tf.nn.log_softmax(logits)
    cross_entropy = tf.where(labelled, -tf.gather(log_probabilities, ids, batch_dims=1), 0)
    # Unlike tf.where, it takes whole rows by a (N,) condition: a quarter of the time.
    probabilities = tf.raw_ops.Select(
        condition=labelled, x=tf.exp(log_probabilities), y=tf.zeros_like(log_probabilities)
    )

    def gradient(of_cross_entropy: Any, of_area: Any) -> tuple[Any, None, None]:
        own = tf.where(labelled, of_cross_entropy, 0)
        return _compiled_on_cpu(_gradient)(probabilities, ids, own, of_area), None, None

    return (cross_entropy, tf.reduce_sum(probabilities, axis=0)), gradient


def _gradient(probabilities: Any, ids: Any, of_cross_entropy: Any, of_area: Any) -> Any:
    """Return the gradient in the logits, (N, classes), from those in the cross-entropies, (N,), and in the areas."""
    of_all = tf.reduce_sum(probabilities * of_area, axis=1)
    through_softmax = probabilities * ((of_cross_entropy - of_all)[:, None] + of_area)
    truth = tf.one_hot(ids, probabilities.shape[1], dtype=probabilities.dtype)
    return through_softmax - truth * of_cross_entropy[:, None]


@cache
def _compiled_on_cpu(function: Callable[..., Any]) -> Callable[..., Any]:
    """Have XLA make one pass of a function's many over the memory; not with a GPU, for which XLA may lack a compiler.

    The softmax and sums over pixels gain nothing by it: TensorFlow's are as fast, and add up more exactly.
    """
    if tf.config.list_logical_devices("GPU"):
        return function
    compiled: Callable[..., Any] = tf.function(function, jit_compile=True)
    return compiled


def class_sums(values: Any, ids: Any, classes: int) -> Any:
    """Return the sum of the values of each class's pixels, (classes,); its gradient needs no one-hot.

    Row by row, each in one thread: to count all at once adds up in the order in which threads come, and less exactly.

    Args:
        values: (B, H, W) floats.
        ids: (B, H, W) int32 class ids.
        classes: how many there are.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def sums(values: Any) -> Any:
        rows, row_values = (tf.reshape(each, (-1, tf.shape(ids)[-1])) for each in (ids, values))
        of_rows = tf.raw_ops.DenseBincount(input=rows, size=classes, weights=row_values)
        return tf.reduce_sum(of_rows, axis=0), lambda of_sums: tf.gather(of_sums, ids)

    return sums(values)
