"""What the network will see: samples taken through the very code that feeds the training loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edgeseg.core.errors import UsageError
from edgeseg.core.geometry import Size
from edgeseg.data.base import Image, Mask, Sample
from edgeseg.data.feeding.augment import Augmentation
from edgeseg.data.feeding.pipeline import FittedSamples, TrainingBatches


@dataclass
class View:
    """One sample at the network's size: as it is, and as draws of the augmentation make it."""

    name: str
    plain: tuple[Image, Mask]
    draws: list[tuple[Image, Mask]] = field(default_factory=list)


def spread(samples: Sequence[Sample], count: int) -> list[Sample]:
    """Return `count` samples, or all if there are fewer, evenly spread over the sequence from its first to its last."""
    return [samples[index] for index in np.unique(np.linspace(0, len(samples) - 1, count).astype(int))]


def network_views(
    fitted: FittedSamples, augmentation: Augmentation | None, draws: int, seed: int, window: Size | None = None
) -> list[View]:
    """Return each sample with `draws` augmentations of it, in the order of the samples.

    The draws are the first epochs of a training run on these samples: batches of one, so each epoch has each once.
    They are of the size of `window`, the train size; None for the network's.

    Raises:
        DataError: a sample cannot be read.
    """
    views = [View(sample.name, fitted[index]) for index, sample in enumerate(fitted.samples)]
    if augmentation is None or not draws:
        return views
    if draws < 0:
        raise UsageError(f"{draws} draws; expected 0 or more")
    batches = TrainingBatches(fitted, 1, seed, augmentation, window)
    steps = range(draws * batches.steps_per_epoch)
    for position, (images, class_maps) in zip(steps, batches.iterate(), strict=False):
        views[batches.index(position)].draws.append((images.numpy()[0], class_maps.numpy()[0]))
    return views
