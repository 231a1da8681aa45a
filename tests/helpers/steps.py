"""Steps of a training outside of a run, of a network that compiles in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.core.spec import ModelSpec
from edgeseg.models.build import seed_weights
from edgeseg.tf import keras, tf
from edgeseg.training.distribution import Distribution
from edgeseg.training.losses import SegmentationLoss
from edgeseg.training.optimiser import LossScale, make_optimizer
from edgeseg.training.step import TrainStep
from tests.helpers.training import tiny_settings

CLASSES = ClassMap(("a", "b", "c"), ((0, 0, 0), (1, 1, 1), (2, 2, 2)))
SIZE = Size(16, 16)
SPEC = ModelSpec(
    name="small",
    architecture="small",
    encoder="small",
    input_size=SIZE,
    colour_order="bgr",
    mean=(127.0, 127.0, 127.0),
    scale=(0.02, 0.02, 0.02),
    classes=CLASSES,
)


def small_model(policy: str, batch_norm: bool, synchronized: bool) -> Any:
    """Two convolutions, with batch norm between them or without."""
    seed_weights(0)
    image = keras.Input((*SIZE, 3))
    x = keras.layers.Conv2D(8, 3, padding="same", use_bias=False, dtype=policy)(image)
    if batch_norm:
        x = keras.layers.BatchNormalization(momentum=0.9, synchronized=synchronized, dtype=policy)(x)
    x = keras.layers.ReLU(dtype=policy)(x)
    return keras.Model(image, keras.layers.Conv2D(len(CLASSES), 1, dtype=policy)(x))


class Steps:
    """A model with its step."""

    def __init__(
        self, parts: int = 1, batch_norm: bool = True, distribution: Distribution | None = None, **changes: Any
    ) -> None:
        self.settings = tiny_settings(Path("/"), **changes)
        self.distribution = distribution or Distribution.open()
        several = self.distribution.replicas > 1
        with self.distribution.scope():
            self.model = small_model(self.settings.precision, batch_norm, several)
        self.kept = small_model("float32", batch_norm, False)
        self.optimizer = make_optimizer(self.settings, self.model, self.distribution)
        self.scale = LossScale(self.settings.precision)
        loss = SegmentationLoss(
            self.settings.losses, np.array([1, 2, 5], np.float32), 255, hard_pixels=self.settings.hard_pixels
        )
        self.step = TrainStep(
            self.model, self.kept, self.optimizer, loss, self.scale, self.distribution, SPEC, self.settings, parts
        )  # fmt: skip

    def __call__(self, pictures: int = 4) -> float:
        """Move the weights by a batch; each step has its own, whose pictures have labels in unequal parts."""
        random = np.random.default_rng(self.steps)
        frames = random.uniform(0, 255, (pictures, *SIZE, 3)).astype(np.float32)
        class_maps = random.integers(0, 3, (pictures, *SIZE), dtype=np.uint8)
        class_maps[0, :13] = 255
        rate = tf.constant(self.settings.learning_rate)
        return float(self.step(tf.constant(frames), tf.constant(class_maps), rate))

    @property
    def weights(self) -> list[Any]:
        """Of the model, batch-norm statistics included."""
        weights: list[Any] = self.model.get_weights()
        return weights

    @property
    def trained(self) -> list[Any]:
        """The weights without batch-norm statistics."""
        return [variable.numpy() for variable in self.model.trainable_variables]

    @property
    def steps(self) -> int:
        """So many are done."""
        return int(self.optimizer.iterations.numpy())
