"""From a picture file's content to its pixels: turned upright, of 8 bits, and refused where they are damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgeseg.core.errors import DataError
from edgeseg.core.pictures import webp
from edgeseg.core.pictures.depth import Depth, depth_of, eight_bits, note_on
from edgeseg.data.base import Image, Mask
from edgeseg.data.reading import jpeg
from edgeseg.data.remarks import Remark, Tell, unheard


def damaged(path: object, problem: str) -> DataError:
    """Return the error for a picture file that is not as it was written."""
    return DataError(f"{path}: damaged ({problem}); write the file again or remove the pair")


def decode_picture(
    content: bytes, path: object, orientation: int, bits: int | None, tell: Tell = unheard
) -> Image | None:
    """Return the pixels of a file whose structure is whole, (H, W, 3) uint8 BGR; None if it is none that can be read.

    Args:
        content: the file's.
        path: names it; a Path has neighbours that a rule over its folder looks at.
        orientation: a JPEG file's, by its EXIF tag; all others OpenCV turns.
        bits: as in `edgeseg.core.pictures.depth.eight_bits`.
        tell: told what was guessed, and what was not seen.

    Raises:
        DataError: its data are damaged, or its numbers are no pixels of up to 16 bits.
    """
    if jpeg.is_jpeg(content):
        if jpeg.is_blind():
            tell(jpeg.BLIND)
        stored, problem = jpeg.decode(content)
        if problem is not None:
            raise damaged(path, problem)
        return None if stored is None else turned_upright(stored, orientation)
    try:
        depth = depth_of(content)
        if depth is not None:
            return _eight_bits(content, depth, path if isinstance(path, Path) else None, bits, tell)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    pixels: Image | None = _flat(content)
    problem = webp.damage_behind(content, pixels, _flat)
    if problem is not None:
        raise damaged(path, problem)
    return pixels


def _eight_bits(content: bytes, depth: Depth, path: Path | None, bits: int | None, tell: Tell) -> Image | None:
    pixels: Image | None = eight_bits(content, depth, _deep, path, bits)
    note = note_on(path) if path is not None and bits is None and depth.bits is None else None
    if note is not None:
        tell(Remark(note))
    return pixels


def _flat(content: bytes) -> Any:
    # Not cv2.imread: it writes its own warnings to the terminal and fails on some non-ASCII paths.
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def _deep(content: bytes) -> Any:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)


_UPRIGHT: dict[int, Callable[[Mask], Mask]] = {
    2: lambda pixels: np.flip(pixels, 1),
    3: lambda pixels: np.flip(pixels, (0, 1)),
    4: lambda pixels: np.flip(pixels, 0),
    5: lambda pixels: np.swapaxes(pixels, 0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.swapaxes(np.flip(pixels, (0, 1)), 0, 1),
    8: lambda pixels: np.rot90(pixels),
}


def turned_upright(pixels: Mask, orientation: int) -> Mask:
    """Turn and mirror (H, W, ...) as an EXIF orientation says (CIPA DC-008, tag 0x0112)."""
    turn = _UPRIGHT.get(orientation)
    return pixels if turn is None else np.ascontiguousarray(turn(pixels))
