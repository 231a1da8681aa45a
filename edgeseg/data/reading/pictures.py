"""Pictures from files, with errors that name the file."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, NamedTuple

import cv2
import numpy as np
from PIL import Image as PillowImage

from edgeseg.core.errors import DataError
from edgeseg.core.geometry import Size
from edgeseg.data.base import Image, Mask
from edgeseg.data.reading.text_encoding import not_utf8

MAX_PIXELS = 80_000_000  # twice the largest cameras; a small file can claim far more than fits into memory
EXIF_ORIENTATION = 274


class Encoded(NamedTuple):
    """The content of a picture file that lies inside another file; `where` names it in messages."""

    content: bytes
    where: str

    def __str__(self) -> str:
        return self.where


PictureFile = Path | Encoded
MaskDecoder = Callable[[PictureFile], Mask]
"""Makes class ids of a mask file."""


class Picture(NamedTuple):
    """What a picture file's header says: its size as stored, and its EXIF orientation (1: upright)."""

    stored: Size
    orientation: int

    @property
    def upright(self) -> Size:
        """The size of what `read_image` returns."""
        return Size(self.stored.width, self.stored.height) if self.orientation >= 5 else self.stored


def read_image(path: PictureFile) -> Image:
    """Return a picture file as (H, W, 3) uint8 BGR, turned upright by its EXIF tag. Raises DataError."""
    encoded = read_bytes(path)
    _header(encoded, path)
    try:
        # Not cv2.imread: it writes its own warnings to the terminal and fails on some non-ASCII paths.
        decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise DataError(f"{path}: cannot be read (not decodable); expected an image file") from error
    if decoded is None:
        raise unreadable(path, encoded)
    return decoded.astype(np.uint8, copy=False)


def read_picture(path: PictureFile) -> Picture:
    """Return what the header says, without decoding the picture. Raises DataError."""
    if isinstance(path, Encoded):
        return _header(path.content, path)
    try:
        with path.open("rb") as file:
            return _header_of(file, path)
    except OSError as error:
        raise _not_opened(path, error) from error


def read_bytes(path: PictureFile) -> bytes:
    """Return a file's content. Raises DataError."""
    if isinstance(path, Encoded):
        return path.content
    try:
        return path.read_bytes()
    except OSError as error:
        raise _not_opened(path, error) from error


def read_text(path: Path) -> str:
    """Return a UTF-8 text file's content. Raises DataError."""
    content = read_bytes(path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: {not_utf8(content)}") from error


def unreadable(path: PictureFile, encoded: bytes) -> DataError:
    """Return the error for a file that is no whole picture."""
    return DataError(f"{path}: no readable image ({len(encoded)} bytes); write the file again or remove the pair")


def _not_opened(path: Path, error: OSError) -> DataError:
    return DataError(f"{path}: cannot be read ({error.strerror or error}); expected an image or label file")


def _header(encoded: bytes, path: PictureFile) -> Picture:
    return _header_of(io.BytesIO(encoded), path)


def _header_of(file: IO[bytes], path: PictureFile) -> Picture:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PillowImage.DecompressionBombWarning)
            opened = PillowImage.open(file)
        with opened:
            width, height = opened.size
            # Pillow turns TIFF sizes by itself, and would load a whole PNG to look for a tag behind its pixels.
            tagged = "exif" in opened.info and opened.format != "TIFF"
            orientation = opened.getexif().get(EXIF_ORIENTATION, 1) if tagged else 1
    except (PillowImage.DecompressionBombError, PillowImage.DecompressionBombWarning) as error:
        raise DataError(f"{path}: {error}; expected at most {MAX_PIXELS}: scale the picture down") from error
    except Exception as error:  # Pillow's readers raise whatever a broken header leads them to
        file.seek(0, io.SEEK_END)
        raise DataError(
            f"{path}: no readable image ({file.tell()} bytes); write the file again or remove the pair"
        ) from error
    if width * height > MAX_PIXELS:
        raise DataError(f"{path}: {width}x{height} pixels; expected at most {MAX_PIXELS} in all: scale it down")
    return Picture(Size(height, width), orientation if orientation in range(1, 9) else 1)


_TURNS: dict[int, Callable[[Mask], Mask]] = {
    5: lambda mask: mask.T,
    6: lambda mask: np.rot90(mask, -1),
    7: lambda mask: np.rot90(mask, 2).T,
    8: lambda mask: np.rot90(mask),
}


def align_mask_to_exif(mask: Mask, image: PictureFile) -> Mask:
    """Turn a mask that was made on the stored pixels as `read_image` turns its picture by the EXIF tag.

    A tool that ignores the tag labels the picture lying on its side: its mask has the stored size, not the upright one.
    """
    picture = read_picture(image)
    if mask.shape == picture.stored != picture.upright:
        return np.ascontiguousarray(_TURNS[picture.orientation](mask))
    return mask
