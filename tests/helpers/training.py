"""Small data sets and settings for the tests of the training side."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.core.spec import ModelSpec
from edgeseg.data.argument import open_dataset
from edgeseg.data.base import Image, Mask, Sample
from edgeseg.data.feeding.augment import NONE
from edgeseg.training.settings import TrainSettings

TWO_CLASSES = ClassMap(("dark", "light"), ((10, 10, 10), (240, 240, 240)))
PICTURE_SIZE = Size(72, 96)
PATIENCE_S = 600.0
"""Ends a process that hangs; says nothing of how long one may take on a busy machine."""


class ArraySample(Sample):
    """A sample from arrays."""

    def __init__(self, image: Image, class_map: Mask, classes: ClassMap = TWO_CLASSES, name: str = "array") -> None:
        super().__init__(name, classes)
        self.image = image
        self.class_map = class_map

    def _image(self) -> Image:
        return self.image

    def _class_map(self) -> Mask:
        return self.class_map


def write_camvid(root: Path, train: int = 8, val: int = 3) -> Path:
    """Write CamVid-shaped folders whose classes can be told by colour, so that a tiny network learns them."""
    random = np.random.default_rng(5)
    for split, count in (("train", train), ("val", val)):
        for folder in (root / split, root / f"{split}annot"):
            folder.mkdir(parents=True)
        for index in range(count):
            ids = np.zeros(PICTURE_SIZE, np.uint8)
            ids[int(random.integers(20, 50)) :] = 3
            ids[:, : int(random.integers(5, 40))] = 1
            ids[-4:] = 11
            colours = np.array([(220, 180, 140), (40, 40, 160), (0, 0, 0), (90, 90, 90)] + [(0, 0, 0)] * 8, np.int16)
            image = np.clip(colours[ids] + random.integers(-15, 16, (*PICTURE_SIZE, 3)), 0, 255).astype(np.uint8)
            cv2.imwrite(str(root / split / f"{index:03}.png"), image)
            cv2.imwrite(str(root / f"{split}annot" / f"{index:03}.png"), ids)
    return root


def tiny_settings(root: Path, **changes: Any) -> TrainSettings:
    """Return settings that train in seconds; building the graph takes most of them, so what is not needed is off."""
    values: dict[str, Any] = {
        "data": f"camvid:{root}",
        "size": Size(64, 64),
        "width": 0.0625,
        "batch_norm": "off",
        "epochs": 2,
        "batch": 4,
        "learning_rate": 3e-3,
        "augmentation": replace(NONE, flip=0.5, brightness=0.2, contrast=0.2, saturation=0.2),
        **changes,
    }
    return TrainSettings(**values)


def write_untrained(settings: TrainSettings, out: Path) -> Path:
    """Write what an export needs of a run whose network has its first weights, and return it.

    Its batch norms know the statistics of some noise: without them a deep network's signal fades to nothing.
    """
    from edgeseg.models.build import build_model, seed_weights
    from edgeseg.tf import keras

    network, classes = settings.network(), open_dataset(settings.data).classes
    spec = ModelSpec(
        name=network.name,
        architecture=network.architecture,
        encoder=network.encoder,
        input_size=settings.size,
        classes=classes,
        options=network.to_document(),
        trained_on=settings.data,
        **dataclasses.asdict(network.preprocessing),
    )
    out.mkdir()
    (out / "spec.json").write_text(spec.to_json())
    seed_weights(0)
    model = build_model(network, settings.size, len(classes))
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.1  # not 0: a channel that noise leaves still would be blown up
    model(np.random.default_rng(0).normal(size=(4, *settings.size, 3)).astype(np.float32), training=True)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
    model.save(out / "model.keras")
    return out
