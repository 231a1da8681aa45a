"""Picture files in the forms that encoders write them, and what disks, cards and transfers do to them."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

SECTOR = 512


def street(width: int = 320, height: int = 240, seed: int = 0) -> NDArray[np.uint8]:
    """Draw a picture (H, W, 3) BGR with areas, edges and noise, so that a damaged part of it looks different."""
    draw = np.random.default_rng(seed)
    coarse = draw.integers(30, 220, (max(2, height // 24), max(2, width // 24), 3), np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.add(smooth, draw.integers(0, 24, smooth.shape, np.uint8)), np.uint8)


def by_opencv(suffix: str, pixels: NDArray[Any], *flags: int) -> bytes:
    return cv2.imencode(suffix, pixels, flags)[1].tobytes()


def by_pillow(kind: str, pixels: NDArray[np.uint8], **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels[..., ::-1])).save(stream, kind, **options)
    return stream.getvalue()


Damage = Callable[[bytes, np.random.Generator], bytes]


def _place(content: bytes, draw: np.random.Generator, room: int = 0) -> int:
    """Return a place behind the headers."""
    return int(draw.integers(len(content) // 20, max(len(content) // 20 + 1, len(content) - room)))


def _over(content: bytes, at: int, new: bytes) -> bytes:
    return (content[:at] + new + content[at + len(new) :])[: len(content)]


def cut_short(content: bytes, draw: np.random.Generator) -> bytes:
    return content[: _place(content, draw)]


def zeros_to_the_end(content: bytes, draw: np.random.Generator) -> bytes:
    """A power cut: the length is on the disk, the data are not."""
    at = _place(content, draw)
    return content[:at] + bytes(len(content) - at)


def sector_missing(content: bytes, draw: np.random.Generator) -> bytes:
    at = _place(content, draw, SECTOR)
    return content[:at] + content[at + SECTOR :]


def sector_zeroed(content: bytes, draw: np.random.Generator) -> bytes:
    return _over(content, _place(content, draw, SECTOR), bytes(SECTOR))


def sector_of_another_file(content: bytes, draw: np.random.Generator) -> bytes:
    return _over(content, _place(content, draw, SECTOR), draw.bytes(SECTOR))


def a_few_bytes(content: bytes, draw: np.random.Generator) -> bytes:
    return _over(content, _place(content, draw, 8), draw.bytes(8))


def one_bit(content: bytes, draw: np.random.Generator) -> bytes:
    at = _place(content, draw)
    return _over(content, at, bytes([content[at] ^ 1 << int(draw.integers(8))]))


DAMAGES: tuple[Damage, ...] = (
    cut_short,
    zeros_to_the_end,
    sector_missing,
    sector_zeroed,
    sector_of_another_file,
    a_few_bytes,
    one_bit,
)
