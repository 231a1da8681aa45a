"""What is trained and what moves it: the models, the optimiser, the loss scale."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from edgeseg.core.geometry import Size
from edgeseg.models.build import build_model, seed_weights
from edgeseg.models.options import NetworkOptions
from edgeseg.models.transfer import is_of_encoder
from edgeseg.tf import keras, tf
from edgeseg.training.distribution import Distribution
from edgeseg.training.settings import TrainSettings

ADAM_BETA_2 = 0.99  # the default 0.999 averages over more steps than a short training has
LOSS_SCALE = 2.0**15
LOSS_SCALE_GROWS_AFTER = 2000  # steps without an overflow (Micikevicius et al. 2018)


def make_models(
    settings: TrainSettings,
    classes: int,
    distribution: Distribution | None = None,
    network: NetworkOptions | None = None,
) -> tuple[Any, Any]:
    """Return the model that is trained and the float32 one that is validated and kept: the same one if it can be.

    The first takes windows of the settings' train size, the second whole pictures; their weights have the same shapes.
    Several replicas' batch norm is over the whole batch: each alone would normalise by too few pictures, and keep
    statistics of its own. `network` is that of a run which goes on; by default the settings say it.
    """
    network = network or settings.network()

    def build(policy: str, size: Size) -> Any:
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            return build_model(network, size, classes)
        finally:
            keras.config.set_dtype_policy(before)

    distribution = distribution or Distribution.open()
    seed_weights(settings.seed)
    with distribution.scope():
        model = build(settings.precision, settings.window)
    alike = settings.precision == "float32" and settings.window == settings.size
    if alike and not settings.ema and distribution.replicas == 1:
        return model, model
    for layer in model.layers if distribution.replicas > 1 else []:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
    return model, build("float32", settings.size)


def copy_weights(model: Any, kept: Any) -> None:
    """Give the model that is kept the weights of the one that is trained."""
    if kept is not model:
        kept.set_weights(model.get_weights())


def make_optimizer(settings: TrainSettings, model: Any, distribution: Distribution | None = None) -> Any:
    """Return the settings' optimiser, built, so that a checkpoint can be restored into it.

    Its learning rate is set before each step. AdamW: Loshchilov, Hutter 2019; SGD's decay is decoupled likewise.
    """
    rate, decay = settings.learning_rate, settings.weight_decay
    with (distribution or Distribution.open()).scope():
        if settings.optimizer == "sgd":
            nesterov = settings.nesterov and settings.momentum > 0
            optimizer = SGD(rate, settings.momentum, nesterov, weight_decay=decay)
        elif settings.optimizer == "adam":
            optimizer = FusedAdam(rate, beta_2=ADAM_BETA_2)
        else:
            optimizer = FusedAdamW(rate, weight_decay=decay, beta_2=ADAM_BETA_2)
        if settings.optimizer != "adam":
            optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        # The step has summed the gradients over the replicas, to clip them by their norm; once is enough.
        optimizer._all_reduce_sum_gradients = lambda gradients_and_variables: gradients_and_variables
        # No plain dict: TensorFlow would keep it in the checkpoints.
        optimizer.shares = MappingProxyType(_rate_shares(model, settings.encoder_rate))
        optimizer.build(model.trainable_variables)
    return optimizer


def _rate_shares(model: Any, encoder_rate: float) -> dict[int, float]:
    """Return by their place, for the trainable variables whose learning rate differs, its share."""
    if encoder_rate == 1:
        return {}
    layers = [layer for layer in model.layers if is_of_encoder(layer.name)]
    slower = {id(variable) for layer in layers for variable in layer.trainable_variables}
    return {index: encoder_rate for index, each in enumerate(model.trainable_variables) if id(each) in slower}


class LossScale(tf.Module):  # type: ignore[misc]
    """What the loss is multiplied by, so that float16's gradients do not vanish (Micikevicius et al. 2018).

    Halved at an overflow, doubled after long without one. 1, and never changed, for other precisions.
    """

    def __init__(self, precision: str) -> None:
        super().__init__()
        self.is_dynamic = precision == "mixed_float16"
        self.value = tf.Variable(LOSS_SCALE if self.is_dynamic else 1.0, trainable=False)
        self._good_steps = tf.Variable(0, trainable=False)

    def overflowed(self) -> None:
        self.value.assign(tf.maximum(self.value / 2, 1.0))
        self._good_steps.assign(0)

    def on_finite_step(self) -> None:
        grows = self._good_steps >= LOSS_SCALE_GROWS_AFTER - 1
        self.value.assign(tf.where(grows, self.value * 2, self.value))
        self._good_steps.assign(tf.where(grows, 0, self._good_steps + 1))


class _Shares:
    """Gives variables shares of the learning rate, by their place; decoupled weight decay goes by the whole one."""

    shares: Mapping[int, float] = MappingProxyType({})

    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        share = self.shares.get(self._get_variable_index(variable), 1.0)
        super().update_step(gradient, variable, learning_rate if share == 1 else learning_rate * share)  # type: ignore[misc]


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


class FusedAdam(_Shares, _Fused, keras.optimizers.Adam):  # type: ignore[misc]
    """keras.optimizers.Adam (Kingma, Ba 2015), fused; without amsgrad."""


class FusedAdamW(_Shares, _Fused, keras.optimizers.AdamW):  # type: ignore[misc]
    """keras.optimizers.AdamW (Loshchilov, Hutter 2019), fused; without amsgrad."""


class SGD(_Shares, keras.optimizers.SGD):  # type: ignore[misc]
    """keras.optimizers.SGD."""
