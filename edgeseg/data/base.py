"""What every data format yields. The base classes validate; a format finds its samples and decodes its masks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgeseg.errors import DataError, nearest
from edgeseg.labels import ClassMap

Image = NDArray[np.uint8]
"""(H, W, 3) uint8, BGR."""
Mask = NDArray[np.uint8]
"""(H, W) uint8, class ids and the ignore index."""


class Sample(ABC):
    """One picture and its labels. Nothing is read before it is asked for.

    Attributes:
        name: names the sample in messages; unique within its split.
        classes: what the mask's ids stand for.
    """

    def __init__(self, name: str, classes: ClassMap) -> None:
        self.name = name
        self.classes = classes

    def read_image(self) -> Image:
        """Return the picture, (H, W, 3) uint8 BGR. Raises DataError."""
        return self._image()

    def read_class_map(self) -> Mask:
        """Return the labels, (H, W) uint8: class ids and the ignore index. Raises DataError for any other id."""
        class_map = self._class_map()
        self.classes.check(class_map, self.name)
        return class_map

    def read(self) -> tuple[Image, Mask]:
        """Return picture and labels, of one size. Raises DataError."""
        image, class_map = self.read_image(), self.read_class_map()
        if image.shape[:2] != class_map.shape:
            raise DataError(
                f"{self.name}: the image is {image.shape[1]}x{image.shape[0]}, its mask {class_map.shape[1]}x"
                f"{class_map.shape[0]}; expected equal sizes: label the image at its own size"
            )
        return image, class_map

    @abstractmethod
    def _image(self) -> Image: ...

    @abstractmethod
    def _class_map(self) -> Mask:
        """Decode the labels; ids are checked by the caller."""


class Dataset(ABC):
    """Samples in splits, and the classes of their masks.

    A format implements the constructor (from the text after `FORMAT:`), which sets `classes` and `splits`, and
    `_samples`.
    """

    classes: ClassMap
    splits: tuple[str, ...]

    def split(self, name: str) -> list[Sample]:
        """Return the samples of a split in a fixed order; at least one. Raises DataError."""
        if name not in self.splits:
            known = ", ".join(self.splits) or "none"
            raise DataError(f"split {name!r}{nearest(name, self.splits)}; this data set has: {known}")
        samples = list(self._samples(name))
        if not samples:
            raise DataError(f"split {name!r} is empty; expected at least one image with a mask")
        return samples

    @abstractmethod
    def _samples(self, split: str) -> Sequence[Sample]: ...
