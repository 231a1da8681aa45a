"""A larger model's probabilities as a second set of labels (Hinton, Vinyals, Dean 2015)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeseg.core.geometry import Size
from edgeseg.models.build import build_model, load_model
from edgeseg.models.initial_network import run_spec
from edgeseg.models.inputs import network_input
from edgeseg.models.options import NetworkOptions
from edgeseg.tf import keras, tf
from edgeseg.training.losses import Total, one_replica


class Teacher:
    """A trained model that looks at the same windows as the one in training.

    Args:
        run: a run directory, or its `.keras` file, that edgeseg.training.start has checked.
        window: the size of what is trained on.
        precision: what it computes in.

    Raises:
        ModelError: it cannot be read.
    """

    def __init__(self, run: Path, window: Size, precision: str = "float32") -> None:
        self.spec = run_spec(run)
        network = NetworkOptions.from_spec(self.spec)
        trained = load_model(run / "model.keras" if run.is_dir() else run)
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(precision)
        try:
            self.model = build_model(network, window, len(self.spec.classes))
        finally:
            keras.config.set_dtype_policy(before)
        self.model.set_weights(trained.get_weights())
        self.model.trainable = False

    def __call__(self, frames: Any) -> Any:
        """Return logits (B, H, W, classes) float32 for frames (B, H, W, 3) of 0 to 255, BGR; no gradient."""
        return tf.stop_gradient(self.model(network_input(frames, self.spec), training=False))


def distillation(class_maps: Any, logits: Any, teacher: Any, ignore_index: int, total: Total = one_replica) -> Any:
    """Return the mean over labelled pixels of the divergence KL(teacher || student) of their probabilities, a scalar.

    Args:
        class_maps: (B, H, W) uint8; ignored pixels, padding among them, have no influence.
        logits: the student's (B, H, W, classes), of any float type.
        teacher: the teacher's, float32.
        ignore_index: the class id of pixels without a label.
        total: see edgeseg.training.losses.
    """
    labelled = class_maps != ignore_index
    own = tf.nn.log_softmax(tf.where(labelled[..., None], tf.cast(logits, tf.float32), 0.0))
    taught = tf.nn.log_softmax(teacher)
    divergence = tf.reduce_sum(tf.exp(taught) * (taught - own), axis=-1)
    sums = [tf.reduce_sum(tf.where(labelled, divergence, 0.0)), tf.reduce_sum(tf.cast(labelled, tf.float32))]
    value, pixels = tf.unstack(total(tf.stack(sums)))
    return tf.math.divide_no_nan(value, pixels)
