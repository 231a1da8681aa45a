"""Mask files of colours, looked up: exactly, or by the nearest class's colour within a tolerance that is stated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import DataError, UsageError
from edgeseg.core.labels import IGNORE_INDEX, ClassMap, Colour
from edgeseg.data.base import Mask
from edgeseg.data.reading.masks import read_colours
from edgeseg.data.reading.pictures import PictureFile
from edgeseg.data.remarks import Amounts, LeftOut, Remark, Tell, unheard

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


class Matched(Remark):
    """Pixels that were read with a tolerance: how many, how many exactly, how many by the nearest colour."""

    def line(self, by_label: Mapping[str, Amounts], pictures: int) -> str:
        pixels, exact, near = by_label[""]
        matched = (exact + near) / pixels
        return (
            f"{self.text}: {matched:.2%} of {pixels} pixels read ({exact / pixels:.2%} exactly), the other "
            f"{1 - matched:.2%} are ignored; labels at edges are not to be trusted"
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
        left_out: what is told of colours that have a name but are ignored, and pairs of these colours and names.
    """

    colours: tuple[tuple[Colour, int], ...]
    tolerance: int | None = None
    takes_tolerance: bool = False
    left_out: tuple[LeftOut, tuple[tuple[Colour, str], ...]] | None = None

    def __call__(self, path: PictureFile, tell: Tell = unheard) -> Mask:
        near = "; or say tolerance=20 to take the nearest class's colour" if self.takes_tolerance else ""
        colours = read_colours(path, self.tolerance is not None, f"write the masks again from the labels{near}")
        codes = _codes(colours[..., :3])
        found = _colour_table(self.colours)[codes]
        found[colours[..., 3] == 0] = IGNORE_INDEX + 1
        unknown = found == NO_CLASS
        if self.tolerance is not None:
            near_too = self._match(codes, found, unknown, self.tolerance)
            remark = Matched(f"colours matched with tolerance {self.tolerance}")
            tell(remark, codes.size, codes.size - int(unknown.sum()), near_too)
        elif unknown.any():
            raise self._unknown(path, colours, unknown)
        self._tell_ignored(codes[found == IGNORE_INDEX + 1] if self.left_out else codes, tell)
        return (found - 1).astype(np.uint8)

    def _tell_ignored(self, codes: NDArray[np.int32], tell: Tell) -> None:
        """Tell what has a name of the pixels that are ignored, by their colour codes (N,)."""
        remark, names = self.left_out or (None, ())
        for (red, green, blue), name in names:
            count = int(np.count_nonzero(codes == (red << 16 | green << 8 | blue)))
            if count and remark:
                tell(remark, count, label=name)

    def _match(
        self, codes: NDArray[np.int32], found: NDArray[np.uint16], unknown: NDArray[np.bool_], tolerance: int
    ) -> int:
        """Give the pixels of unknown colours (H, W) their nearest class, or ignore, in `found`; count those."""
        each, place = np.unique(codes[unknown], return_inverse=True)
        nearest = self._nearest_classes(each, tolerance)[place.ravel()]
        is_near = nearest != NOT_NEAR
        found[unknown] = np.where(is_near, nearest, IGNORE_INDEX) + 1
        return int(is_near.sum())

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
