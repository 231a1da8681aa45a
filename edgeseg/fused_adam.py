"""Adam and AdamW, one kernel a weight."""

from __future__ import annotations

from typing import Any

from edgeseg.tf import keras, tf


class _Fused:
    """Moves a weight and its two moments in one pass over the memory.

    Keras writes the update as a dozen operations, and each passes over all weights: together twice the time of this.
    The formula, its epsilon and the names and shapes of its variables are those of keras.optimizers.Adam.
    """

    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move `variable`, and the moments that belong to it, by its gradient, a tensor of its shape."""
        index = self._get_variable_index(variable)
        dtype = variable.dtype
        step = tf.cast(self.iterations.value + 1, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, dtype), step),
            beta2_power=tf.pow(tf.cast(self.beta_2, dtype), step),
            lr=tf.cast(learning_rate, dtype),
            beta1=tf.cast(self.beta_1, dtype),
            beta2=tf.cast(self.beta_2, dtype),
            epsilon=tf.cast(self.epsilon, dtype),
            grad=tf.cast(gradient, dtype),
        )


class FusedAdam(_Fused, keras.optimizers.Adam):  # type: ignore[misc]
    """keras.optimizers.Adam (Kingma, Ba 2015), fused; without amsgrad."""


class FusedAdamW(_Fused, keras.optimizers.AdamW):  # type: ignore[misc]
    """keras.optimizers.AdamW (Loshchilov, Hutter 2019), fused; without amsgrad."""
