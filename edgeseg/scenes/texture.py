"""Textures: pictures in three paints, mixed to colours only when drawn, so that one brick wall serves all colours."""

from __future__ import annotations

from functools import cached_property, lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


class Texture:
    """A texture with its reduced copies.

    Args:
        pixels: (h, w, 3) uint8; channel k says how much of paint k each texel shows.
        outline: (h, w) uint8, 255 inside a cut-out; None for a full rectangle.
    """

    def __init__(self, pixels: Pixels, outline: Pixels | None = None) -> None:
        self._pixels = pixels
        self._outline = outline

    @cached_property
    def _levels(self) -> list[Pixels]:
        return reduced(self._pixels)

    @cached_property
    def _outlines(self) -> list[Pixels]:
        assert self._outline is not None
        return reduced(self._outline)

    def level(self, width: float, height: float) -> Pixels:
        """The copy to draw when the whole texture covers this many pixels."""
        return self._levels[self._index(width, height)]

    def level_with_outline(self, width: float, height: float) -> tuple[Pixels, Pixels]:
        """As `level`, and the cut-out's outline at the same scale."""
        index = self._index(width, height)
        return self._levels[index], self._outlines[index]

    def _index(self, width: float, height: float) -> int:
        # An oblique wall is narrow in one direction: the geometric mean trades a little shimmer for sharpness.
        texels = self._pixels.shape[0] * self._pixels.shape[1]
        ratio = np.sqrt(texels / max(width * height, 1.0))
        return int(np.clip(np.log2(max(ratio, 1.0)) + 0.3, 0, len(self._levels) - 1))


def reduced(pixels: Pixels, smallest: int = 4) -> list[Pixels]:
    """The picture and its copies at half, a quarter, ... of its size."""
    levels = [pixels]
    while min(levels[-1].shape[:2]) >= 2 * smallest:
        height, width = levels[-1].shape[:2]
        half = cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        levels.append(np.asarray(half, np.uint8))
    return levels


def noise(rng: np.random.Generator, height: int, width: int, octaves: int, coarsest: int) -> NDArray[np.float32]:
    """Tileable cloud-like noise (height, width), mean 0, standard deviation 1; `coarsest` bumps along its height."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        rows = min(coarsest << octave, height)
        columns = max(1, min(rows * width // height, width))
        grid = rng.standard_normal((rows, columns)).astype(np.float32)
        wrapped = np.pad(grid, 2, mode="wrap")
        scale = height / rows
        large = cv2.resize(wrapped, None, fx=width / columns, fy=scale, interpolation=cv2.INTER_CUBIC)
        top, left = round(2 * scale), round(2 * width / columns)
        total += np.asarray(large[top : top + height, left : left + width], np.float32) / np.float32(1.6**octave)
    return np.asarray((total - total.mean()) / total.std(), np.float32)


def as_bytes(values: NDArray[np.floating]) -> Pixels:
    return np.asarray(np.clip(values, 0, 255), np.float32).astype(np.uint8)


@lru_cache(maxsize=1)
def ground() -> list[Pixels]:
    """Brightness of asphalt, paving and grass (channels 0, 1, 2; 128 is 1.0) on a 16 m tile; reduced copies follow."""
    rng = np.random.default_rng(101)
    side = 512
    asphalt = 128 + 9 * noise(rng, side, side, 3, 4) + 13 * rng.standard_normal((side, side))
    _crack(rng, asphalt)
    paving = 128 + 5 * noise(rng, side, side, 4, 4) + 6 * rng.standard_normal((side, side))
    slab = 32
    slabs = cv2.resize(rng.normal(0, 7, (side // slab, side // slab)), (side, side), interpolation=cv2.INTER_NEAREST)
    paving += slabs
    paving[::slab], paving[:, ::slab] = 88, 88
    paving[1::slab], paving[:, 1::slab] = 100, 100
    grass = 128 + 16 * noise(rng, side, side, 4, 3) + 20 * noise(rng, side, side, 2, 128)
    return reduced(as_bytes(np.dstack([asphalt, paving, grass])), 2)


def _crack(rng: np.random.Generator, asphalt: NDArray[np.float64]) -> None:
    for _ in range(7):
        steps = np.cumsum(rng.normal(0, 5, (30, 2)) + rng.normal(0, 3, 2), axis=0) + rng.uniform(0, 512, 2)
        cv2.polylines(asphalt, [steps.astype(np.int32)], False, 88.0, 1)
    for _ in range(3):
        x, y, w, h = rng.integers((0, 0, 40, 50), (400, 400, 110, 200))
        asphalt[y : y + h, x : x + w] -= rng.uniform(10, 22)


@lru_cache(maxsize=1)
def clouds() -> Pixels:
    """Tileable cloud density (512, 512) uint8, all values about equally frequent."""
    field = noise(np.random.default_rng(102), 512, 512, 6, 3)
    ranks = np.empty(field.size, np.int64)
    ranks[np.argsort(field.ravel(), kind="stable")] = np.arange(field.size)
    return (ranks * 256 // field.size).astype(np.uint8).reshape(field.shape)


@lru_cache(maxsize=1)
def concretes() -> list[Texture]:
    """Cast concrete with joints and stains: paint 0 the concrete, 1 the joints, 2 unused."""
    rng = np.random.default_rng(103)
    textures = []
    for joints in (1, 2, 4):
        body = 205 + 12 * noise(rng, 128, 256, 5, 2) + 8 * rng.standard_normal((128, 256))
        streaks = cv2.GaussianBlur(rng.standard_normal((1, 256)), (5, 1), 0) * np.linspace(1, 0, 128)[:, None]
        body += 30 * streaks
        joint = np.zeros((128, 256))
        for k in range(joints):
            joint[:, k * 256 // joints : k * 256 // joints + 3] = 160
        joint[:5] = 60
        body *= 1 - joint / 300
        textures.append(Texture(as_bytes(np.dstack([body, joint, np.zeros_like(body)]))))
    return textures
