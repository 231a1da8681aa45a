"""A fixed mask of what no label can be trusted on, such as the vehicle's own bonnet: one wrapper over a data set.

It belongs to the camera, so it comes with the data argument and holds for whatever reads the data: training (where it
moves with the picture), class weights, validation, evaluation, checks. Pixels under it are no mistakes and no hits.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edgeseg.core.errors import DataError
from edgeseg.data.base import Dataset, Image, Mask, Sample
from edgeseg.data.reading.masks import read_colours

SAME_ASPECT = 0.02  # so much may the shapes of mask and pictures differ: sizes are whole pixels


class MaskedSample(Sample):
    """A sample whose labels are ignored where a mask says so."""

    def __init__(self, sample: Sample, mask: Mask, mask_name: str) -> None:
        super().__init__(sample.name, sample.classes)
        self.problem, self.drive = sample.problem, sample.drive
        self._sample, self._mask, self._mask_name = sample, mask, mask_name

    def read(self) -> tuple[Image, Mask]:
        image, class_map = self._sample.read()
        return image, self._masked(class_map)

    def _image(self) -> Image:
        return self._sample.read_image()

    def _class_map(self) -> Mask:
        return self._masked(self._sample.read_class_map())

    def _masked(self, class_map: Mask) -> Mask:
        (height, width), (mask_height, mask_width) = class_map.shape, self._mask.shape
        if abs(width * mask_height / (height * mask_width) - 1) > SAME_ASPECT:
            raise DataError(
                f"{self.name}: {width}x{height}, but the ignore mask {self._mask_name} is {mask_width}x{mask_height}; "
                f"expected one shape: draw the mask over a picture of this camera"
            )
        mask = cv2.resize(self._mask, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        return np.where(mask > 0, np.uint8(self.classes.ignore_index), class_map)


class MaskedDataset(Dataset):
    """A data set with an ignore mask; pictures, classes and splits are the same."""

    def __init__(self, dataset: Dataset, path: str) -> None:
        self.classes, self.splits, self.split_hint = dataset.classes, dataset.splits, dataset.split_hint
        self.crop, self.edges, self.remarks = dataset.crop, dataset.edges, dataset.remarks
        self._dataset, self._path = dataset, path
        self._mask = read_colours(Path(os.path.expanduser(path)), remedy="draw it again and save it as PNG")[
            :, :, :3
        ].max(axis=2)

    def _samples(self, split: str) -> Sequence[Sample]:
        samples = self._dataset.split(split, complete=False)
        return [MaskedSample(sample, self._mask, self._path) for sample in samples]


def masked(dataset: Dataset, path: str) -> Dataset:
    """Return the data set with its labels ignored wherever the mask file `path` is not black.

    The mask has the pictures' shape, and is resized, nearest neighbour, to each picture's size. Raises DataError.
    """
    return MaskedDataset(dataset, path)
