"""Pictures from files, with errors that name the file."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import IO, NamedTuple, Protocol

import cv2
import numpy as np
from PIL import Image as PillowImage

from edgeseg.core.errors import DataError
from edgeseg.core.geometry import Size
from edgeseg.core.pictures import tiff
from edgeseg.core.pictures.damage import damage_of
from edgeseg.data.base import Image, Mask
from edgeseg.data.reading.decode import damaged, decode_picture, turned_upright
from edgeseg.data.reading.text_encoding import not_utf8
from edgeseg.data.remarks import Tell, unheard

MAX_PIXELS = 80_000_000  # twice the largest cameras; a small file can claim far more than fits into memory
EXIF_ORIENTATION = 274


class Encoded(NamedTuple):
    """The content of a picture file that lies inside another file; `where` names it in messages."""

    content: bytes
    where: str

    def __str__(self) -> str:
        return self.where


PictureFile = Path | Encoded


class MaskDecoder(Protocol):
    """Makes class ids of a mask file, and tells what it leaves out. Raises DataError."""

    def __call__(self, path: PictureFile, tell: Tell = unheard) -> Mask: ...


class Picture(NamedTuple):
    """What a picture file's header says: its size as stored, and its EXIF orientation (1: upright)."""

    stored: Size
    orientation: int

    @property
    def upright(self) -> Size:
        """The size of what `read_image` returns."""
        return Size(self.stored.width, self.stored.height) if self.orientation >= 5 else self.stored


def read_image(path: PictureFile, bits: int | None = None, tell: Tell = unheard) -> Image:
    """Return a picture file as (H, W, 3) uint8 BGR, turned upright by its EXIF tag.

    Args:
        path: the file.
        bits: of a file of 16 bits, how many of them count; None: as it says itself, or its folder
            (`edgeseg.core.pictures.depth`).
        tell: told what was guessed, and what could not be seen.

    Raises:
        DataError: it cannot be read, or is damaged as far as that can be seen (docs/data-check.md says how far).
    """
    encoded, header = read_whole(path)
    try:
        decoded = decode_picture(encoded, path, header.orientation, bits, tell)
    except cv2.error as error:
        raise DataError(f"{path}: cannot be read (not decodable); expected an image file") from error
    if decoded is None:
        raise unreadable(path, encoded)
    return decoded.astype(np.uint8, copy=False)


def read_whole(path: PictureFile) -> tuple[bytes, Picture]:
    """Return a picture file's content and its header. Raises DataError if its structure shows that it is damaged."""
    encoded = read_bytes(path)
    problem = damage_of(encoded)
    if problem is not None:
        raise damaged(path, problem)
    return encoded, _header(encoded, path)


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
    problem = damage_of(encoded)
    if problem is not None:
        return damaged(path, problem)
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
        file.seek(0)
        return _header_without_pillow(file.read(), path, error)
    _check_pixels(Size(height, width), path)
    return Picture(Size(height, width), orientation if orientation in range(1, 9) else 1)


def _header_without_pillow(content: bytes, path: PictureFile, error: Exception) -> Picture:
    """Pillow knows no TIFF of 10 or 14 bits, nor of several floats. Raises DataError for all others."""
    if damage_of(content) is not None or not content.startswith(tiff.SIGNATURES):
        raise unreadable(path, content) from error
    try:
        size = Size(*tiff.size_of(content))
    except LookupError:
        raise unreadable(path, content) from error
    _check_pixels(size, path)
    return Picture(size, 1)


def _check_pixels(size: Size, path: PictureFile) -> None:
    if size.width * size.height > MAX_PIXELS:
        raise DataError(f"{path}: {size} pixels; expected at most {MAX_PIXELS} in all: scale it down")


def align_mask_to_exif(mask: Mask, image: PictureFile) -> Mask:
    """Turn a mask that was made on the stored pixels as `read_image` turns its picture by the EXIF tag.

    A tool that ignores the tag labels the picture lying on its side: its mask has the stored size, not the upright one.
    """
    picture = read_picture(image)
    is_lying = mask.shape == picture.stored != picture.upright
    return turned_upright(mask, picture.orientation) if is_lying else mask
