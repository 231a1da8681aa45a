"""`scenes:` the built-in data set: road scenes drawn as they are asked for, the same ones for the same seed.

`scenes:train=600,val=100,test=100,seed=7,size=512x256`; every setting may be left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgeseg.core.errors import DataError, UsageError, nearest
from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.core.numbers import Range, shortened
from edgeseg.data.base import Dataset, Image, Mask, Sample
from edgeseg.scenes import CLASSES, render_scene

DEFAULTS = {"train": "600", "val": "100", "test": "100", "seed": "7", "size": "512x256"}
SPLITS = ("train", "val", "test")
SEEDS_PER_SPLIT = 1_000_000  # each split draws from a range of its own, so no scene is in two
MAX_SEED = 1000  # keeps every scene's seed within 32 bits


class SceneSample(Sample):
    """One drawn scene."""

    def __init__(self, name: str, seed: int, size: Size, classes: ClassMap) -> None:
        super().__init__(name, classes)
        self.drive = name  # each is drawn anew: no other is its neighbour
        self.seed = seed
        self.size = size

    def read(self) -> tuple[Image, Mask]:
        return render_scene(self.seed, self.size)

    def _image(self) -> Image:
        return render_scene(self.seed, self.size)[0]

    def _class_map(self) -> Mask:
        return render_scene(self.seed, self.size)[1]


class Scenes(Dataset):
    """Scenes by seed; a split has as many as its setting says."""

    def __init__(self, argument: str) -> None:
        settings = _settings(argument)
        self.classes = CLASSES
        self.splits = SPLITS
        self.size = Size.parse(settings["size"])
        self.seed = _number("seed", settings["seed"], MAX_SEED)
        self.counts = {split: _number(split, settings[split], SEEDS_PER_SPLIT) for split in SPLITS}

    def _samples(self, split: str) -> Sequence[Sample]:
        first = (self.seed * len(SPLITS) + SPLITS.index(split)) * SEEDS_PER_SPLIT
        seeds = range(first, first + self.counts[split])
        return [SceneSample(f"scenes:{split}/{seed}", seed, self.size, self.classes) for seed in seeds]


def _settings(argument: str) -> dict[str, str]:
    settings = dict(DEFAULTS)
    for part in filter(None, (part.strip() for part in argument.split(","))):
        key, equals, value = part.partition("=")
        if key not in DEFAULTS or not equals:
            raise DataError(
                f"scenes: setting {part!r}{nearest(key, DEFAULTS)}; expected KEY=VALUE with {', '.join(DEFAULTS)}"
            )
        settings[key] = value
    return settings


def _number(key: str, text: str, limit: int) -> int:
    allowed = Range(0, limit, whole=True)
    try:
        return int(allowed.parse(text))
    except ValueError as error:
        raise UsageError(f"scenes: {key}={shortened(text)}; expected {allowed}") from error
