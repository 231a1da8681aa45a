"""Mask files of colours, looked up: exactly, or by the nearest class's colour within a tolerance that is stated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import DataError, UsageError
from edgeseg.core.labels import IGNORE_INDEX, ClassMap, Colour
from edgeseg.data.base import Mask
from edgeseg.data.reading.masks import read_colours
from edgeseg.data.reading.pictures import PictureFile

NO_CLASS = 0
NOT_NEAR = 0xFFFE
FAR = 1 << 30
CODES_AT_ONCE = 4096  # colours that are compared with all classes' at a time
TOLERANCE_OPTION = {
    "tolerance": "of lossy masks: how far red, green and blue may be from a class's colour, 1 to 127 (masks are exact)"
}


def parse_tolerance(text: str) -> int | None:
    """Return the value of the option `tolerance`, or None if it is not given. Raises UsageError."""
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= 127:
        raise UsageError(f"option tolerance={text}; expected a whole number from 1 to 127, such as tolerance=20")
    return int(text)


class Matches:
    """Counts the pixels that were matched with a tolerance, on any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pixels = self._exact = self._near = 0

    def add(self, pixels: int, exact: int, near: int) -> None:
        with self._lock:
            self._pixels, self._exact, self._near = self._pixels + pixels, self._exact + exact, self._near + near

    def remarks(self, tolerance: int) -> Iterator[str]:
        """Yield a line with the shares, once something was read."""
        if self._pixels:
            matched = (self._exact + self._near) / self._pixels
            yield (
                f"colours matched with tolerance {tolerance}: {matched:.2%} of {self._pixels} pixels read "
                f"({self._exact / self._pixels:.2%} exactly), the other {1 - matched:.2%} are ignored; labels at edges "
                f"are not to be trusted"
            )


@dataclass(frozen=True)
class ColourMask:
    """Makes class ids of a mask file of colours; fully transparent pixels are ignored.

    A lossy file (JPEG) is an error without a tolerance. With one, a pixel that has no class's colour gets the class of
    the nearest colour (sum of squares in RGB) among those that differ by no more in any channel; it is ignored if
    there is none.

    Attributes:
        colours: pairs of an RGB colour and its class id or the ignore index.
        tolerance: largest difference in red, green or blue, 1 to 127; None if only exact colours count.
        takes_tolerance: the format has the option, which messages then name.
        matches: counts what was matched with a tolerance.
    """

    colours: tuple[tuple[Colour, int], ...]
    tolerance: int | None = None
    takes_tolerance: bool = False
    matches: Matches = field(default_factory=Matches, compare=False)

    def __call__(self, path: PictureFile) -> Mask:
        near = "; or say tolerance=20 to take the nearest class's colour" if self.takes_tolerance else ""
        colours = read_colours(path, self.tolerance is not None, f"write the masks again from the labels{near}")
        codes = _codes(colours[..., :3])
        found = _colour_table(self.colours)[codes]
        found[colours[..., 3] == 0] = IGNORE_INDEX + 1
        unknown = found == NO_CLASS
        if self.tolerance is not None:
            self._match(codes, found, unknown, self.tolerance)
        elif unknown.any():
            raise self._unknown(path, colours, unknown)
        return (found - 1).astype(np.uint8)

    def _match(
        self, codes: NDArray[np.int32], found: NDArray[np.uint16], unknown: NDArray[np.bool_], tolerance: int
    ) -> None:
        """Give the pixels of unknown colours (H, W) their nearest class, or ignore, in `found`; count them."""
        each, place = np.unique(codes[unknown], return_inverse=True)
        nearest = self._nearest_classes(each, tolerance)[place.ravel()]
        is_near = nearest != NOT_NEAR
        found[unknown] = np.where(is_near, nearest, IGNORE_INDEX) + 1
        self.matches.add(codes.size, codes.size - len(nearest), int(is_near.sum()))

    def _nearest_classes(self, codes: NDArray[np.int32], tolerance: int) -> NDArray[np.uint16]:
        """Return the class id of each colour code (N,), or NOT_NEAR."""
        wanted = np.array([colour for colour, _ in self.colours], np.int32)
        ids = np.array([class_id for _, class_id in self.colours], np.uint16)
        nearest = np.empty(len(codes), np.uint16)
        for start in range(0, len(codes), CODES_AT_ONCE):
            part = codes[start : start + CODES_AT_ONCE, None]
            rgb = np.stack([part >> 16, part >> 8 & 0xFF, part & 0xFF], axis=-1)
            apart = np.abs(rgb - wanted)
            distance = np.where(apart.max(axis=2) <= tolerance, (apart**2).sum(axis=2), FAR)
            best = distance.argmin(axis=1)
            nearest[start : start + CODES_AT_ONCE] = np.where(distance.min(axis=1) == FAR, NOT_NEAR, ids[best])
        return nearest

    def _unknown(self, path: PictureFile, colours: NDArray[np.uint8], unknown: NDArray[np.bool_]) -> DataError:
        rows, columns = np.nonzero(unknown)
        y, x = int(rows[0]), int(columns[0])
        colour = tuple(int(channel) for channel in colours[y, x, :3])
        return DataError(
            f"{path}: colour {colour} at x {x}, y {y}, in {len(rows)} pixels, is no class; the nearest class "
            f"colour is {self._nearest(colour)}: correct the mask (no smoothing, no JPEG) or the palette"
        )

    def remarks(self) -> Iterator[str]:
        """Yield a line on what was matched with a tolerance."""
        return self.matches.remarks(self.tolerance) if self.tolerance is not None else iter(())

    def _nearest(self, colour: tuple[int, ...]) -> Colour:
        return min(
            (each for each, _ in self.colours),
            key=lambda each: sum(abs(a - b) for a, b in zip(each, colour, strict=True)),
        )

    @classmethod
    def of(cls, classes: ClassMap, void: tuple[Colour, ...] = ()) -> ColourMask:
        """The colours of the classes, and others that mean ignore. Raises DataError for a colour of two classes."""
        pairs = dict.fromkeys(void, classes.ignore_index)
        for index, colour in enumerate(classes.colours):
            if colour in pairs:
                raise DataError(f"colour {colour} of class {classes.names[index]!r} has two meanings; give it one")
            pairs[colour] = index
        return cls(tuple(pairs.items()))


def _codes(colours: NDArray[np.uint8]) -> NDArray[np.int32]:
    return np.asarray(cv2.transform(colours.astype(np.float32), np.array([[0x10000, 0x100, 1]], np.float32)), np.int32)


@lru_cache(maxsize=16)
def _colour_table(colours: tuple[tuple[Colour, int], ...]) -> NDArray[np.uint16]:
    """Return class id + 1 of every colour code. 32 MiB of zeros, of which only the pages with a class are ever real."""
    table = np.zeros(0x1000000, np.uint16)
    for (red, green, blue), class_id in colours:
        table[red << 16 | green << 8 | blue] = class_id + 1
    return table
