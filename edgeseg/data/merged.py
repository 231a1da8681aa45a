"""Class merging for every format: one wrapper over a data set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgeseg.data.base import Dataset, Image, Mask, Sample
from edgeseg.labels import ClassMap, merge_classes


class MergedSample(Sample):
    """A sample whose class ids are looked up in a table."""

    def __init__(self, sample: Sample, classes: ClassMap, table: NDArray[np.uint8]) -> None:
        super().__init__(sample.name, classes)
        self.problem = sample.problem
        self._sample = sample
        self._table = table

    def read(self) -> tuple[Image, Mask]:
        image, class_map = self._sample.read()
        return image, self._table[class_map]

    def _image(self) -> Image:
        return self._sample.read_image()

    def _class_map(self) -> Mask:
        return self._table[self._sample.read_class_map()]


class MergedDataset(Dataset):
    """A data set with other classes; the pictures and the splits are the same."""

    def __init__(self, dataset: Dataset, rule: str) -> None:
        self.classes, self._table = merge_classes(dataset.classes, rule)
        self.splits = dataset.splits
        self.split_hint, self.crop = dataset.split_hint, dataset.crop
        self._dataset = dataset

    def _samples(self, split: str) -> Sequence[Sample]:
        samples = self._dataset.split(split, complete=False)
        return [MergedSample(sample, self.classes, self._table) for sample in samples]


def merged(dataset: Dataset, rule: str) -> Dataset:
    """Return the data set with its classes merged by a rule such as `road=road,parking;other=*`.

    See `edgeseg.labels.merge_classes` for the rule. Raises UsageError.
    """
    return MergedDataset(dataset, rule)
