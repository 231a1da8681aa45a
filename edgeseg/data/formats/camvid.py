"""`camvid:PATH`: CamVid (Brostow et al. 2009) in the split and the 11 classes of SegNet (Badrinarayanan et al. 2015).

Layout: `train/*.png` with `trainannot/*.png`, and so on for `val` and `test`; 8-bit ids, 11 = unlabelled.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from edgeseg.core.errors import DataError
from edgeseg.core.labels import ClassMap
from edgeseg.data.base import Dataset, Sample
from edgeseg.data.reading.masks import IdMask
from edgeseg.data.reading.pairs import pair_samples

CLASSES = ClassMap(
    names=(
        "Sky",
        "Building",
        "Pole",
        "Road",
        "Pavement",
        "Tree",
        "SignSymbol",
        "Fence",
        "Car",
        "Pedestrian",
        "Bicyclist",
    ),
    colours=(
        (128, 128, 128),
        (128, 0, 0),
        (192, 192, 128),
        (128, 64, 128),
        (60, 40, 222),
        (128, 128, 0),
        (192, 128, 128),
        (64, 64, 128),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
    ),
)
UNLABELLED = 11
DECODE = IdMask.of(CLASSES, void=(UNLABELLED,))


class CamVid(Dataset):
    """The folders `train`, `val` and `test` that are there are the splits."""

    def __init__(self, argument: str) -> None:
        self.root = Path(os.path.expanduser(argument))
        if not argument or not self.root.is_dir():
            raise DataError(f"camvid:{argument}: no such folder; expected one with train/ and trainannot/ in it")
        self.splits = tuple(name for name in ("train", "val", "test") if (self.root / name).is_dir())
        self.classes = CLASSES
        if not self.splits:
            raise DataError(f"{self.root}: no split found; expected train/ and trainannot/, val/ and valannot/")

    def _samples(self, split: str) -> Sequence[Sample]:
        return [*pair_samples(self.root / split, self.root / f"{split}annot", self.classes, DECODE).values()]
