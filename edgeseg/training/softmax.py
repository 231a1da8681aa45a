"""What the losses need of the softmax, with gradients in closed form: one pass forward, one back, one tensor kept.

Left to TensorFlow, cross-entropy and Dice each compute the softmax anew, and keep half a dozen tensors of the logits'
size for their gradients: twice the time, and most of the memory.
"""

from __future__ import annotations

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
    classes = logits.shape[-1]
    log_probabilities = tf.nn.log_softmax(logits)
    cross_entropy = tf.where(labelled, -tf.gather(log_probabilities, ids, batch_dims=1), 0)
    # Unlike tf.where, it takes whole rows by a (N,) condition: a quarter of the time.
    probabilities = tf.raw_ops.Select(
        condition=labelled, x=tf.exp(log_probabilities), y=tf.zeros_like(log_probabilities)
    )

    def gradient(of_cross_entropy: Any, of_area: Any) -> tuple[Any, None, None]:
        own = tf.where(labelled, of_cross_entropy, 0)
        # A product with a vector: unlike one of matrices, TensorFlow does not round its factors on a GPU (TF32).
        all_classes = tf.linalg.matvec(probabilities, of_area)
        through_softmax = probabilities * ((own - all_classes)[:, None] + of_area)
        return through_softmax - tf.one_hot(ids, classes, dtype=logits.dtype) * own[:, None], None, None

    return (cross_entropy, tf.reduce_sum(probabilities, axis=0)), gradient


def class_sums(values: Any, ids: Any, classes: int) -> Any:
    """Return the sum of the values of each class's pixels, (classes,).

    Not by tf.math.bincount, whose sums depend on which thread comes first, nor as a product of matrices, which adds
    up less exactly. The gradient needs no one-hot.

    Args:
        values: (N,) floats.
        ids: (N,) int32 class ids.
        classes: how many there are.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def sums(values: Any) -> Any:
        truth = tf.one_hot(ids, classes, dtype=values.dtype)
        return tf.reduce_sum(truth * values[:, None], axis=0), lambda of_sums: tf.gather(of_sums, ids)

    return sums(values)
