"""`kitti-semantic:PATH`: KITTI's semantic segmentation benchmark (Alhaija et al. 2018), label ids of Cityscapes.

Layout: `training/image_2/*.png` with `training/semantic/*.png`; PATH is the folder above `training/`, or it. The names
`000000_10` count scenes, so each scene is a drive of its own where the split is chosen.
"""

from __future__ import annotations

from typing import ClassVar

from edgeseg.data.reading.cityscapes_labels import LABELS_HELP, classes_of, decode_ids
from edgeseg.data.reading.listing import data_folder
from edgeseg.data.reading.pairs import pair_samples
from edgeseg.data.splits import SPLIT_OPTIONS, ListedDataset, SplitRule


class KittiSemantic(ListedDataset):
    """Only `training/` has labels."""

    OPTIONS: ClassVar = {"labels": LABELS_HELP, **SPLIT_OPTIONS}

    def __init__(self, argument: str, *, labels: str = "train", **split: str) -> None:
        root = data_folder(argument, "a folder with training/image_2/ and training/semantic/ in it")
        training = root / "training" if (root / "training").is_dir() else root
        self.classes = classes_of(labels)
        samples = pair_samples(training / "image_2", training / "semantic", self.classes, decode_ids(labels))
        self._divide(list(samples.values()), list(samples), SplitRule.parse(split))
