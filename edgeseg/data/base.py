"""What every data format yields. The base classes validate; a format finds its samples and decodes its masks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import DataError, EdgesegError, UsageError, nearest
from edgeseg.core.geometry import Crop
from edgeseg.core.labels import ClassMap
from edgeseg.data.remarks import Remarks, Tell, unheard

Image = NDArray[np.uint8]
"""(H, W, 3) uint8, BGR."""
Mask = NDArray[np.uint8]
"""(H, W) uint8, class ids and the ignore index."""


class Sample(ABC):
    """One picture and its labels. Nothing is read before it is asked for.

    Attributes:
        name: names the sample in messages; unique within its split.
        classes: what the mask's ids stand for.
        problem: why it can never be read (its image or its labels are missing), or None.
        drive: what its neighbours in time have in common; None where only the name tells it
            (`edgeseg.data.splits.drive_of`).
        bits: of pictures stored in 16 bits, how many count (`edgeseg.core.pictures.depth`); None if nobody said.
        remarks: its data set's, which take in what reading finds; None for a sample of no data set.
    """

    bits: int | None = None
    remarks: Remarks | None = None

    def __init__(self, name: str, classes: ClassMap) -> None:
        self.name = name
        self.classes = classes
        self.problem: DataError | None = None
        self.drive: str | None = None

    def read_image(self) -> Image:
        """Return the picture, (H, W, 3) uint8 BGR. Raises DataError."""
        with self._own_errors():
            return self._image()

    def read_class_map(self) -> Mask:
        """Return the labels, (H, W) uint8: class ids and the ignore index. Raises DataError for any other id."""
        with self._own_errors():
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

    @property
    def tell(self) -> Tell:
        """Takes what reading finds that is no error (`edgeseg.data.remarks`): all of it, each time it is read."""
        return unheard if self.remarks is None else self.remarks.of(self.name)

    @contextmanager
    def _own_errors(self) -> Iterator[None]:
        """The class may be the user's own: what its code raises is said of the sample, and blames nothing else."""
        try:
            yield
        except (EdgesegError, MemoryError):
            raise
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            raise DataError(f"{self.name}: cannot be read ({said}); mend it") from error

    @abstractmethod
    def _image(self) -> Image: ...

    @abstractmethod
    def _class_map(self) -> Mask:
        """Decode the labels; ids are checked by the caller."""


class BrokenSample(Sample):
    """A sample that is known to be incomplete, so that a check can go on and list it."""

    def __init__(self, name: str, classes: ClassMap, problem: DataError) -> None:
        super().__init__(name, classes)
        self.problem = problem

    def _image(self) -> Image:
        raise self.problem or DataError(self.name)

    def _class_map(self) -> Mask:
        raise self.problem or DataError(self.name)


class EncodedSample(Sample):
    """A sample that is opened as a whole: picture and labels lie in one record or document."""

    def read(self) -> tuple[Image, Mask]:
        return self._open().read()

    def _image(self) -> Image:
        return self._open().read_image()

    def _class_map(self) -> Mask:
        return self._open().read_class_map()

    def _open(self) -> Sample:
        opened = self._opened()
        opened.bits, opened.remarks = self.bits, self.remarks
        return opened

    @abstractmethod
    def _opened(self) -> Sample:
        """Return what the record holds. Raises DataError."""


class Dataset(ABC):
    """Samples in splits, and the classes of their masks.

    A format implements `_samples` and the constructor, which sets `classes` and `splits`. The constructor takes the
    text between `FORMAT:` and `?`, and by name the options after it, each a text.

    Attributes:
        OPTIONS: what the options are called, and a line on each.
        split_hint: what to do when a split that is asked for is not there.
        crop: the part that was cut out of the original pictures, if these are what is left: it is not cut again.
        edges: the rule that its polygons are filled by (`edgeseg.data.reading.polygons`); None where none are drawn.
        bits: what its samples are told (`Sample.bits`).
    """

    OPTIONS: ClassVar[Mapping[str, str]] = {}
    classes: ClassMap
    splits: tuple[str, ...]
    split_hint: str = ""
    crop: Crop | None = None
    edges: str | None = None
    bits: int | None = None

    def check_crop(self, crop: Crop | None) -> None:
        """Raise UsageError if a crop is asked for and the pictures are cropped already."""
        if crop is not None and self.crop is not None:
            raise UsageError(
                f"crop {[round(share, 4) for share in crop]} of pictures that were packed with the crop "
                f"{[round(share, 4) for share in self.crop]}; expected one of the two: leave it out, or pack without it"
            )

    @abstractmethod
    def __init__(self, argument: str, **options: str) -> None: ...

    @cached_property
    def remarks(self) -> Remarks:
        """What reading its samples has found so far that is no error, but must not go unsaid."""
        return Remarks()

    def split(self, name: str, complete: bool = True) -> list[Sample]:
        """Return the samples of a split in a fixed order; at least one.

        With `complete`, a sample without its image or its labels is a DataError now; otherwise when it is read.
        Raises DataError.
        """
        if name not in self.splits:
            known = ", ".join(self.splits) or "none"
            raise DataError(
                f"no split {name!r}{nearest(name, self.splits)}; this data set has: {known}{self.split_hint}"
            )
        try:
            samples = list(self._samples(name))
        except OSError as error:
            raise DataError(f"{error.filename}: cannot be read ({error.strerror}); mend it, or --data") from error
        if not samples:
            raise DataError(f"split {name!r} is empty; expected at least one image with a mask")
        for sample in samples:
            sample.remarks = self.remarks
            if self.bits is not None:
                sample.bits = self.bits
        problem = next((sample.problem for sample in samples if sample.problem), None)
        if complete and problem:
            raise problem
        return samples

    @abstractmethod
    def _samples(self, split: str) -> Sequence[Sample]: ...
