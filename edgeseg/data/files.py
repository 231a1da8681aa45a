"""Pictures and masks from files, with errors that name the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.data.base import Image, Mask, Sample
from edgeseg.errors import DataError
from edgeseg.labels import ClassMap

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")


def read_image(path: Path) -> Image:
    """Return a picture file as (H, W, 3) uint8 BGR, turned upright by its EXIF tag. Raises DataError."""
    return _decode(path, cv2.IMREAD_COLOR)


def read_ids(path: Path) -> Mask:
    """Return a mask file of class ids as (H, W) uint8, every id as it is in the file. Raises DataError."""
    mask = _decode(path, cv2.IMREAD_UNCHANGED)  # any other flag turns ids into grey levels or colours
    if mask.ndim != 2 or mask.dtype != np.uint8:
        channels = 1 if mask.ndim == 2 else mask.shape[2]
        raise DataError(
            f"{path}: a mask of {channels} channel(s) of {mask.dtype}; expected one channel of 8-bit class ids: "
            f"write the ids as a greyscale PNG"
        )
    return mask


def _decode(path: Path, flags: int) -> NDArray[Any]:
    try:
        # Not cv2.imread: it writes its own warnings to the terminal and fails on some non-ASCII paths.
        encoded = np.fromfile(path, np.uint8)
        decoded = cv2.imdecode(encoded, flags) if encoded.size else None
    except (OSError, cv2.error) as error:
        reason = error.strerror if isinstance(error, OSError) else "not decodable"
        raise DataError(f"{path}: cannot be read ({reason}); expected an image file") from error
    if decoded is None:
        raise DataError(f"{path}: no readable image ({encoded.size} bytes); write the file again or remove the pair")
    return decoded


class FileSample(Sample):
    """A picture file and a mask file of class ids, some of which may mean ignore."""

    def __init__(self, image: Path, mask: Path, classes: ClassMap, void_ids: tuple[int, ...] = ()) -> None:
        super().__init__(str(mask), classes)
        self.image = image
        self.mask = mask
        self.void_ids = void_ids

    def _image(self) -> Image:
        return read_image(self.image)

    def _class_map(self) -> Mask:
        ids = read_ids(self.mask)
        if self.void_ids:
            ids[np.isin(ids, self.void_ids)] = self.classes.ignore_index
        return ids


def paired(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    """Pair the picture files of one folder with the equally named PNG masks of another. Raises DataError."""
    for folder in (images, masks):
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; expected images in {images.name}/ and masks in {masks.name}/")
    pairs = []
    for image in sorted(images.iterdir()):
        if image.suffix.lower() in IMAGE_SUFFIXES and not image.name.startswith("."):
            mask = masks / f"{image.stem}.png"
            if not mask.is_file():
                raise DataError(f"{image}: no mask; expected {mask}: add the mask or remove the image")
            pairs.append((image, mask))
    return pairs
