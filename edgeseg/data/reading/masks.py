"""Mask files: ids as they are in the file, or colours looked up, and both made class ids.

Pillow reads them: OpenCV turns palette indices into colours and grey levels of 1, 2 and 4 bits into 8.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageOps

from edgeseg.core.errors import DataError
from edgeseg.core.labels import IGNORE_INDEX, ClassMap, Colour
from edgeseg.data.base import Mask
from edgeseg.data.reading.pictures import PictureFile, read_bytes, read_picture, read_whole, unreadable

GREY_STEP = {"L;2": 0x55, "L;4": 0x11}
"""Pillow stretches grey levels of 2 and 4 bits to 8 by these factors."""
ID_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")
NO_CLASS = 0


def read_file_ids(path: PictureFile) -> NDArray[np.uint16]:
    """Return the ids of a mask file as (H, W) uint16: grey of 1 to 16 bits, or palette indices. Raises DataError."""
    opened, pixels = _decoded(path)
    if opened.mode not in ID_MODES:
        raise DataError(
            f"{path}: a mask of {len(opened.getbands())} channel(s) ({opened.mode}); expected one of class ids: "
            f"write the ids as a greyscale or palette PNG, or read colours with a format that has them"
        )
    if pixels.min() < 0 or pixels.max() > 0xFFFF:
        raise DataError(f"{path}: class ids of {pixels.min()} to {pixels.max()}; expected 0 to 65535")
    return pixels.astype(np.uint16)


def read_colours(path: PictureFile) -> NDArray[np.uint8]:
    """Return the colours of a mask file as (H, W, 4) uint8, RGB and opacity. Raises DataError."""
    return _decoded(path, "RGBA")[1].astype(np.uint8)


def has_ids(path: PictureFile) -> bool:
    """Return whether a mask file holds ids (grey or palette) rather than colours. Raises DataError."""
    read_picture(path)
    with PillowImage.open(io.BytesIO(read_bytes(path))) as opened:
        return opened.mode in ID_MODES


def _decoded(path: PictureFile, mode: str = "") -> tuple[Any, NDArray[Any]]:
    encoded, _ = read_whole(path)  # refuses what is damaged, no picture, or too large to decode
    try:
        with PillowImage.open(io.BytesIO(encoded)) as opened:
            raw_mode = str(opened.tile[0][3]) if opened.tile else ""
            upright = ImageOps.exif_transpose(opened)
            pixels = np.array(upright.convert(mode) if mode else upright)
    except Exception as error:  # a half-written file: Pillow's readers raise many kinds
        raise unreadable(path, encoded) from error
    step = next((step for name, step in GREY_STEP.items() if name in raw_mode), 1)
    return opened, pixels // step if step > 1 and not mode else pixels


@dataclass(frozen=True)
class IdMask:
    """Makes class ids of a mask file of ids.

    Attributes:
        ids: pairs of an id in the file and its class id or the ignore index.
        other: the class id of every other id in the file; None if that is an error.
        colours: RGB of the ids from 0 on, if a palette file that has them in another order is an error: programs that
            save colours as a palette give them indices as they come.
    """

    ids: tuple[tuple[int, int], ...]
    other: int | None = None
    colours: tuple[Colour, ...] = ()

    def __call__(self, path: PictureFile) -> Mask:
        table, known = _id_table(self.ids, self.other)
        ids = read_file_ids(path)
        if self.colours:
            _check_palette(path, ids, self.colours)
        unknown = np.flatnonzero(~known[ids])
        if unknown.size:
            y, x = divmod(int(unknown[0]), ids.shape[1])
            listed = ", ".join(str(each) for each, _ in self.ids[:40])
            raise DataError(
                f"{path}: class id {ids[y, x]} found at x {x}, y {y}, in {unknown.size} pixels; expected {listed}: "
                f"correct the mask or the class list"
            )
        return table[ids]

    @classmethod
    def of(cls, classes: ClassMap, void: tuple[int, ...] = ()) -> IdMask:
        """Ids that are class ids already, the ignore index, and other ids that mean ignore."""
        ignored = dict.fromkeys((*void, classes.ignore_index), classes.ignore_index)
        return cls(tuple({**{index: index for index in range(len(classes))}, **ignored}.items()))


def _check_palette(path: PictureFile, ids: NDArray[np.uint16], colours: tuple[Colour, ...]) -> None:
    """Raise DataError if the ids that occur in a palette file have the classes' colours, but not each its own."""
    with PillowImage.open(io.BytesIO(read_bytes(path))) as opened:
        palette = opened.getpalette("RGB") if opened.mode == "P" else None
    if not palette:
        return
    present = np.flatnonzero(np.bincount(ids.ravel())[: len(colours)])  # 255, ignored, may have any colour
    shown = {int(index): tuple(palette[3 * index : 3 * index + 3]) for index in present}
    moved = [index for index, colour in shown.items() if colours[index] != colour]
    if moved and set(shown.values()) <= set(colours):
        raise DataError(
            f"{path}: palette index {moved[0]} has colour {shown[moved[0]]}, which the class list gives to id "
            f"{colours.index(shown[moved[0]])}; say encoding=colours or encoding=ids, whichever is right"
        )


@lru_cache(maxsize=16)
def _id_table(ids: tuple[tuple[int, int], ...], other: int | None) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    table = np.full(0x10000, IGNORE_INDEX if other is None else other, np.uint8)
    known = np.full(0x10000, other is not None)
    for file_id, class_id in ids:
        table[file_id] = class_id
        known[file_id] = True
    return table, known


@dataclass(frozen=True)
class ColourMask:
    """Makes class ids of a mask file of colours; fully transparent pixels are ignored.

    Attributes:
        colours: pairs of an RGB colour and its class id or the ignore index.
    """

    colours: tuple[tuple[Colour, int], ...]

    def __call__(self, path: PictureFile) -> Mask:
        colours = read_colours(path)
        codes = _codes(colours[..., :3])
        found = _colour_table(self.colours)[codes]
        found[colours[..., 3] == 0] = IGNORE_INDEX + 1
        unknown = np.flatnonzero(found == NO_CLASS)
        if unknown.size:
            y, x = divmod(int(unknown[0]), codes.shape[1])
            colour = tuple(int(channel) for channel in colours[y, x, :3])
            raise DataError(
                f"{path}: colour {colour} at x {x}, y {y}, in {unknown.size} pixels, is no class; the nearest class "
                f"colour is {self._nearest(colour)}: correct the mask (no smoothing, no JPEG) or the palette"
            )
        return (found - 1).astype(np.uint8)

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
