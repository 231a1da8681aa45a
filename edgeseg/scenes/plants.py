"""Cut-outs of trees and bushes: paint 0 leaves in light, 1 leaves in shade, 2 bark."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.scenes.texture import Texture, as_bytes, noise

_SIDE = 256


class Plant(NamedTuple):
    texture: Texture
    aspect: float
    """Width over height."""
    conifer: bool


@lru_cache(maxsize=1)
def trees() -> list[Plant]:
    """Broad, round, slender and conical trees, in a fixed order."""
    rng = np.random.default_rng(106)
    plants = []
    for _ in range(4):
        plants.append(Plant(_tree(rng, _round_crown(rng, 0.42, 0.34, 0.40), 0.05), 0.95, False))
        plants.append(Plant(_tree(rng, _round_crown(rng, 0.38, 0.40, 0.42), 0.05), 0.80, False))
        plants.append(Plant(_tree(rng, _round_crown(rng, 0.34, 0.44, 0.46), 0.06), 0.50, False))
        plants.append(Plant(_tree(rng, _cone_crown(rng), 0.05), 0.56, True))
    return plants


@lru_cache(maxsize=1)
def bushes() -> list[Plant]:
    """Low growth that stands in a planted strip."""
    rng = np.random.default_rng(107)
    return [Plant(_tree(rng, _round_crown(rng, 0.40, 0.36, 0.58), 0.0), 1.7, False) for _ in range(4)]


def _round_crown(rng: np.random.Generator, across: float, up: float, middle: float) -> NDArray[np.float32]:
    """Discs (x, y, radius) of a crown, shares of the picture's side; y counts down from the top."""
    angle, reach = rng.uniform(0, 2 * np.pi, 26), np.sqrt(rng.uniform(0, 1, 26))
    radius = rng.uniform(0.10, 0.17, 26)
    x = 0.5 + np.cos(angle) * reach * (across - 0.02)
    y = middle + np.sin(angle) * reach * (up - 0.06)
    x, y = np.clip(x, radius + 0.01, 0.99 - radius), np.clip(y, radius + 0.01, 0.99 - radius)
    return np.stack([x, y, radius], axis=1).astype(np.float32)


def _cone_crown(rng: np.random.Generator) -> NDArray[np.float32]:
    y = np.linspace(0.07, 0.84, 40)
    reach = 0.04 + 0.40 * y
    x = 0.5 + rng.uniform(-1, 1, 40) * np.maximum(reach - 0.07, 0)
    return np.stack([x, y, np.minimum(0.05 + 0.07 * y, 0.1)], axis=1).astype(np.float32)


def _tree(rng: np.random.Generator, discs: NDArray[np.float32], trunk: float) -> Texture:
    rows, columns = np.mgrid[0:_SIDE, 0:_SIDE].astype(np.float32) / _SIDE
    ragged = noise(rng, _SIDE, _SIDE, 3, 16) * 0.015
    inside = np.full((_SIDE, _SIDE), -1.0, np.float32)
    lit = np.zeros((_SIDE, _SIDE), np.float32)
    # From the bottom up, so that upper boughs lie over lower ones; the sun stands upper left.
    for x, y, radius in discs[np.argsort(-discs[:, 1], kind="stable")]:
        depth = 1 - np.hypot(columns - x, rows - y) / np.maximum(radius + ragged, 0.02)
        facing = 0.5 - ((columns - x) * 0.6 + (rows - y)) / radius * 0.45
        over = depth > 0
        lit[over] = facing[over]
        inside = np.maximum(inside, depth)
    # Leaves torn off the crown would be specks of tree in the sky.
    leaves = cv2.morphologyEx(as_bytes((inside > 0) * 255.0), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)) > 0
    bark = (np.abs(columns - 0.5) < trunk * (0.6 + 0.5 * rows)) & (rows > 0.45) & ~leaves
    bark |= (rows > 0.97) & (np.abs(columns - 0.5) < trunk * 1.25)
    grain = noise(rng, _SIDE, _SIDE, 3, 40)
    height = 1 - rows
    bright = np.clip(lit * 0.75 + 0.25 * height + 0.20 * grain, 0.03, 1.0)
    outline = as_bytes((leaves | bark) * 255.0)
    # Beyond the outline the nearest paint goes on: interpolation at the edge must not mix in emptiness.
    field = cv2.dilate(as_bytes(bright * leaves * 255.0), np.ones((9, 9), np.uint8)).astype(np.float32) / 255
    bright = np.where(leaves, bright, np.maximum(field * 0.6, 0.2))
    wood = np.where(bark, 200 + 25 * grain, 0)
    foliage = np.where(bark, 0.0, 1.0)
    pixels = np.dstack([bright * foliage * 255, (1 - bright) * foliage * 255, wood])
    return Texture(as_bytes(pixels), outline)
