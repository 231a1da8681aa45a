"""JPEG files read strictly: libjpeg-turbo by simplejpeg says what it found wrong, which OpenCV and Pillow do not.

Without that library, and for what it cannot read, OpenCV reads them, and damage inside the data is not seen.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from types import ModuleType
from typing import Any

import cv2
import numpy as np

from edgeseg.core.pictures.jpeg import SIGNATURE, damage_in
from edgeseg.data.base import Image
from edgeseg.data.remarks import Remark

_STORED = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
BLIND = Remark("simplejpeg is not installed: damage inside JPEG pictures is not seen; pip install 'edgeseg[train]'")
_TRIED_SIZE = (45, 67)  # neither side fills a block


def is_jpeg(content: bytes) -> bool:
    return content.startswith(SIGNATURE)


def is_blind() -> bool:
    """Return whether files are read without simplejpeg, so that BLIND is to be told."""
    return _library() is None


def decode(content: bytes) -> tuple[Image | None, str | None]:
    """Return a JPEG file's pixels as stored, not turned, and what is wrong inside.

    Returns:
        (H, W, 3) uint8 BGR, None where it cannot be decoded; and libjpeg's words for damage, None if it saw none. The
        pixels are OpenCV's, bit for bit, whether the library is there or not.
    """
    library = _library()
    try:
        if library is None:
            return _by_opencv(content), None
        _, _, colours, sampling = library.decode_jpeg_header(content)
        if _is_equal(colours, sampling):
            return library.decode_jpeg(content, "BGR"), None
        # An eighth of the size: only the entropy-coded data are all read.
        library.decode_jpeg(content, "GRAY", min_height=1, min_width=1, min_factor=8)
    except ValueError as error:
        problem = damage_in(str(error))
        if problem is not None:
            return None, problem
    return _by_opencv(content), None


def _by_opencv(content: bytes) -> Image | None:
    decoded: Any = cv2.imdecode(np.frombuffer(content, np.uint8), _STORED)
    return None if decoded is None else decoded.astype(np.uint8, copy=False)


@lru_cache(maxsize=1)
def _library() -> ModuleType | None:
    try:
        return importlib.import_module("simplejpeg")
    except ImportError:
        return None


@lru_cache
def _is_equal(colours: str, sampling: str) -> bool:
    """Whether the library decodes this kind exactly as the OpenCV that is installed, tried on noise.

    Both hold libjpeg-turbo, but a board's own OpenCV may hold another libjpeg: pixels must not depend on the library.
    """
    library = _library()
    if library is None or colours not in ("YCbCr", "Gray"):
        return False
    channels = 1 if colours == "Gray" else 3
    noise = np.random.default_rng(0).integers(0, 256, (*_TRIED_SIZE, channels), np.uint8)
    encoded = library.encode_jpeg(noise, 90, "GRAY" if channels == 1 else "BGR", sampling)
    by_opencv = _by_opencv(encoded)
    return by_opencv is not None and np.array_equal(library.decode_jpeg(encoded, "BGR"), by_opencv)
