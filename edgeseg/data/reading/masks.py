"""Mask files: ids as they are in the file, or colours looked up, and both made class ids.

Pillow reads them: OpenCV turns palette indices into colours and grey levels of 1, 2 and 4 bits into 8.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
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
from edgeseg.data.reading.decode import decode_picture
from edgeseg.data.reading.lossy import lossy_kind
from edgeseg.data.reading.pictures import PictureFile, read_bytes, read_whole, unreadable
from edgeseg.data.remarks import LeftOut, Tell, unheard

GREY_STEP = {"L;2": 0x55, "L;4": 0x11}
"""Pillow stretches grey levels of 2 and 4 bits to 8 by these factors."""
ID_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")
REPEATED_MODES = ("RGB", "RGBA", "LA")
"""In which a grey level may stand in each colour."""
OPAQUE = 255
WITHOUT_CHECKSUMS = ("JPEG", "MPO", "WEBP")


MOST_EXACT = 1 << 24  # pixels that float32, in which OpenCV counts, tells apart


def count_ids(ids: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[np.int64]:
    """Return the pixels of every id in a map (H, W): (256,) int64, of 16 bits (65536,).

    OpenCV counts a map of 8 bits three times as fast as NumPy.
    """
    if ids.size > MOST_EXACT or ids.dtype != np.uint8:
        return np.bincount(ids.ravel(), minlength=256 if ids.dtype == np.uint8 else 0x10000)
    counts = cv2.calcHist([np.ascontiguousarray(ids)], [0], None, [256], [0, 256])
    return np.asarray(counts.ravel(), np.int64)


def read_file_ids(path: PictureFile) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Return the ids of a mask file as (H, W) uint8, or uint16 if the file has more bits. Raises DataError.

    Ids are grey levels of 1 to 16 bits or palette indices, or stand alike in red, green and blue, all opaque. A lossy
    file holds none: at every edge it has others than were drawn.
    """
    opened, pixels, lossy = _decoded(path)
    if lossy:
        raise DataError(
            f"{path}: a lossy file ({lossy}) holds no class ids, as compression changes them; expected PNG: write the "
            f"masks again from the labels (to convert this file mends nothing)"
        )
    if opened.mode not in ID_MODES:
        grey = _grey_of(pixels) if opened.mode in REPEATED_MODES else None
        if grey is None:
            raise DataError(
                f"{path}: a mask of {len(opened.getbands())} channel(s) ({opened.mode}); expected one of class ids: "
                f"write the ids as a greyscale or palette PNG, or read colours with a format that has them"
            )
        pixels = grey
    if pixels.dtype.itemsize == 1:
        return pixels.astype(np.uint8, copy=False)
    if pixels.min() < 0 or pixels.max() > 0xFFFF:
        raise DataError(f"{path}: class ids of {pixels.min()} to {pixels.max()}; expected 0 to 65535")
    return pixels.astype(np.uint16)


def read_colours(path: PictureFile, lossy_too: bool = False, remedy: str = "write it as PNG") -> NDArray[np.uint8]:
    """Return the colours of a mask file as (H, W, 4) uint8, RGB and opacity. Raises DataError.

    Args:
        path: the file.
        lossy_too: a lossy file is read; else it is an error, which ends with the `remedy`.
        remedy: what to do about a lossy file.
    """
    _, pixels, lossy = _decoded(path, "RGBA")
    if lossy and not lossy_too:
        raise DataError(f"{path}: a lossy file ({lossy}) has other colours than were drawn; expected PNG: {remedy}")
    return pixels.astype(np.uint8)


def grey_levels(path: PictureFile) -> NDArray[np.int64] | None:
    """Return the grey levels that occur in a mask file of colours, if it has nothing but opaque grey; else None.

    Raises DataError.
    """
    opened, pixels, _ = _decoded(path)
    grey = _grey_of(pixels) if opened.mode in REPEATED_MODES else None
    return None if grey is None else np.flatnonzero(np.bincount(grey.ravel()))


def mask_mode(path: PictureFile) -> tuple[bool, str]:
    """Return whether a mask file has one channel (grey or palette: ids), and what made it lossy. Raises DataError."""
    encoded, _ = read_whole(path)
    with PillowImage.open(io.BytesIO(encoded)) as opened:
        return opened.mode in ID_MODES, lossy_kind(encoded, opened)


def _grey_of(pixels: NDArray[Any]) -> NDArray[Any] | None:
    """Return the one level (H, W) of pixels (H, W, channels) that are alike in all colours and opaque, else None."""
    colours, opacity = (pixels, None) if pixels.shape[2] % 2 else (pixels[..., :-1], pixels[..., -1])
    alike = (colours == colours[..., :1]).all() and (opacity is None or (opacity == OPAQUE).all())
    return colours[..., 0] if alike else None


def _decoded(path: PictureFile, mode: str = "") -> tuple[Any, NDArray[Any], str]:
    encoded, _ = read_whole(path)  # refuses what is damaged, no picture, or too large to decode
    try:
        with PillowImage.open(io.BytesIO(encoded)) as opened:
            raw_mode = str(opened.tile[0][3]) if opened.tile else ""
            upright = ImageOps.exif_transpose(opened)
            pixels = np.array(upright.convert(mode) if mode else upright)
            lossy = lossy_kind(encoded, opened)
            if opened.format in WITHOUT_CHECKSUMS:
                decode_picture(encoded, path, 1, None)  # refuses damage inside, over which Pillow goes on
    except DataError:
        raise
    except Exception as error:  # a half-written file: Pillow's readers raise many kinds
        raise unreadable(path, encoded) from error
    step = next((step for name, step in GREY_STEP.items() if name in raw_mode), 1)
    return opened, pixels // step if step > 1 and not mode else pixels, lossy


@dataclass(frozen=True)
class IdMask:
    """Makes class ids of a mask file of ids.

    Attributes:
        ids: pairs of an id in the file and its class id or the ignore index.
        other: the class id of every other id in the file; None if that is an error.
        colours: pairs of an id in the file and its RGB, if a palette file that has them in another order is an error:
            programs that save colours as a palette give them indices as they come.
        left_out: what is told of ids that have a name but are ignored, and pairs of these ids and names.
    """

    ids: tuple[tuple[int, int], ...]
    other: int | None = None
    colours: tuple[tuple[int, Colour], ...] = ()
    left_out: tuple[LeftOut, tuple[tuple[int, str], ...]] | None = None

    def __call__(self, path: PictureFile, tell: Tell = unheard) -> Mask:
        table, known = _id_table(self.ids, self.other)
        ids = read_file_ids(path)
        counts = count_ids(ids)
        occurring = np.flatnonzero(counts)
        if self.colours:
            _check_palette(path, occurring, dict(self.colours))
        if not known[occurring].all():
            unknown = np.flatnonzero(~known[ids])
            y, x = divmod(int(unknown[0]), ids.shape[1])
            listed = ", ".join(str(each) for each, _ in self.ids[:40])
            raise DataError(
                f"{path}: class id {ids[y, x]} found at x {x}, y {y}, in {unknown.size} pixels; expected {listed}: "
                f"correct the mask or the class list"
            )
        remark, names = self.left_out or (None, ())
        for file_id, name in names:
            if remark and counts[file_id]:
                tell(remark, int(counts[file_id]), label=name)
        return cv2.LUT(ids, table[:256]).astype(np.uint8, copy=False) if ids.dtype == np.uint8 else table[ids]

    @classmethod
    def of(cls, classes: ClassMap, void: tuple[int, ...] = ()) -> IdMask:
        """Ids that are class ids already, the ignore index, and other ids that mean ignore."""
        ignored = dict.fromkeys((*void, classes.ignore_index), classes.ignore_index)
        return cls(tuple({**{index: index for index in range(len(classes))}, **ignored}.items()))


def _check_palette(path: PictureFile, occurring: NDArray[np.int64], colours: Mapping[int, Colour]) -> None:
    """Raise DataError if the ids that occur in a palette file have the classes' colours, but not each its own."""
    with PillowImage.open(io.BytesIO(read_bytes(path))) as opened:
        palette = opened.getpalette("RGB") if opened.mode == "P" else None
    if not palette:
        return
    present = [int(index) for index in occurring if int(index) in colours]  # 255, ignored, may have any colour
    shown = {index: tuple(palette[3 * index : 3 * index + 3]) for index in present}
    moved = [index for index, colour in shown.items() if colours[index] != colour]
    if moved and set(shown.values()) <= set(colours.values()):
        own = next(index for index, colour in colours.items() if colour == shown[moved[0]])
        raise DataError(
            f"{path}: palette index {moved[0]} has colour {shown[moved[0]]}, which the class list gives to id "
            f"{own}; say encoding=colours or encoding=ids, whichever is right"
        )


@lru_cache(maxsize=16)
def _id_table(ids: tuple[tuple[int, int], ...], other: int | None) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    table = np.full(0x10000, IGNORE_INDEX if other is None else other, np.uint8)
    known = np.full(0x10000, other is not None)
    for file_id, class_id in ids:
        table[file_id] = class_id
        known[file_id] = True
    return table, known
