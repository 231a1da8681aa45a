"""Wrappers over a data set or a sample: classes merged, and what was read remembered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.labels import ClassMap, merge_classes
from edgeseg.data.base import Dataset, Image, Mask, Sample

MIB = 2**20


class RememberedSample(Sample):
    """A sample that is read once."""

    def __init__(self, sample: Sample) -> None:
        super().__init__(sample.name, sample.classes)
        self.drive = sample.drive
        self._sample = sample
        self._read: tuple[Image, Mask] | None = None

    def read(self) -> tuple[Image, Mask]:
        if self._read is None:
            self._read = self._sample.read()
        return self._read

    def _image(self) -> Image:
        return self.read()[0]

    def _class_map(self) -> Mask:
        return self.read()[1]


def remembered(samples: Sequence[Sample], limit_bytes: int) -> list[Sample]:
    """Return samples that are read once, if all are likely to fit into `limit_bytes`; else the samples as they are.

    The estimate takes the first picture's size for all.
    """
    first = RememberedSample(samples[0])
    if sum(part.nbytes for part in first.read()) * len(samples) > limit_bytes:
        return list(samples)
    return [first, *(RememberedSample(sample) for sample in samples[1:])]


class MergedSample(Sample):
    """A sample whose class ids are looked up in a table."""

    def __init__(self, sample: Sample, classes: ClassMap, table: NDArray[np.uint8]) -> None:
        super().__init__(sample.name, classes)
        self.problem, self.drive = sample.problem, sample.drive
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
        self.split_hint, self.crop, self.edges = dataset.split_hint, dataset.crop, dataset.edges
        self.remarks = dataset.remarks
        self._dataset = dataset

    def _samples(self, split: str) -> Sequence[Sample]:
        samples = self._dataset.split(split, complete=False)
        return [MergedSample(sample, self.classes, self._table) for sample in samples]


def merged(dataset: Dataset, rule: str) -> Dataset:
    """Return the data set with its classes merged by a rule such as `road=road,parking;other=*`.

    See `edgeseg.core.labels.merge_classes` for the rule. Raises UsageError.
    """
    return MergedDataset(dataset, rule)
