"""What moves the weights: the model that is trained, its optimiser and learning rate, one step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.labels import IGNORE_INDEX
from edgeseg.losses import cross_entropy
from edgeseg.models import NetworkOptions, build_model
from edgeseg.models.inputs import network_input
from edgeseg.settings import TrainSettings
from edgeseg.spec import ModelSpec
from edgeseg.tf import keras, tf

ADAM_BETA_2 = 0.99  # the default 0.999 averages over more steps than a short training has


def make_models(settings: TrainSettings, classes: int, network: NetworkOptions | None = None) -> tuple[Any, Any]:
    """Return the model that is trained and the float32 one that is validated and kept: the same one if it can be.

    `network` is that of a run which goes on; by default the settings say it.
    """
    network = network or settings.network()

    def build(policy: str) -> Any:
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            return build_model(network, settings.size, classes)
        finally:
            keras.config.set_dtype_policy(before)

    keras.utils.set_random_seed(settings.seed)
    model = build(settings.precision)
    return model, model if settings.precision == "float32" else build("float32")


def copy_weights(model: Any, kept: Any) -> None:
    """Give the model that is kept the weights of the one that is trained."""
    if kept is not model:
        kept.set_weights(model.get_weights())


def make_optimizer(settings: TrainSettings, model: Any, total_steps: int) -> Any:
    """AdamW (Loshchilov, Hutter 2019) under a linear warm-up and a cosine down to 0; the cosine has at least a step."""
    warmup_steps = min(round(settings.warmup * total_steps), total_steps - 1)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=settings.learning_rate / 10 if warmup_steps else settings.learning_rate,
        decay_steps=total_steps - warmup_steps,
        warmup_target=settings.learning_rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=settings.weight_decay, beta_2=ADAM_BETA_2)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    optimizer.build(model.trainable_variables)  # before a checkpoint is restored into it
    return optimizer


def make_train_step(model: Any, optimizer: Any, spec: ModelSpec, weights: NDArray[np.float32]) -> Any:
    """Return a function from frames (B, H, W, 3) and class maps (B, H, W) to the loss, a scalar.

    The loss is nan, and no weight is moved, if a gradient is not finite: the loss itself shows it one step too late.
    """

    def step(frames: Any, class_maps: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = model(network_input(frames, spec), training=True)
            loss = cross_entropy(class_maps, logits, weights, IGNORE_INDEX)
        gradients = tape.gradient(loss, model.trainable_variables)
        finite = tf.math.is_finite(loss) & tf.math.is_finite(tf.linalg.global_norm(gradients))
        if finite:
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return tf.where(finite, loss, float("nan"))

    return tf.function(step)
