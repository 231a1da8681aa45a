"""House fronts: paint 0 the wall, 1 the glass, 2 frames, doors and trim."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.scenes.texture import Texture, as_bytes, noise

FLOOR_M = 3.1
BAY_M = 3.4


class Facade(NamedTuple):
    texture: Texture
    floors: int
    bays: int
    house: bool
    """Whether it carries a pitched roof."""


class _Style(NamedTuple):
    window: tuple[float, float]
    """Share of a bay's width and of a floor's height."""
    frame: int
    brick: float
    shop: bool = False
    band: bool = False
    house: bool = False


_STYLES = (
    _Style((0.40, 0.55), 2, 1.0),
    _Style((0.36, 0.60), 2, 1.0, shop=True),
    _Style((0.55, 0.50), 2, 0.0),
    _Style((0.50, 0.62), 1, 0.0, shop=True, band=True),
    _Style((1.00, 0.48), 0, 0.0, band=True),
    _Style((0.88, 0.82), 1, 0.0),
    _Style((0.30, 0.42), 2, 0.5, house=True),
    _Style((0.45, 0.42), 3, 0.0, house=True),
    _Style((0.34, 0.40), 2, 1.0, house=True),
)
_SHAPES = ((2, 3), (3, 4), (4, 4), (5, 4), (7, 5))
_HOUSE_SHAPES = ((1, 3), (2, 3), (2, 4))


@lru_cache(maxsize=1)
def facades() -> list[Facade]:
    """All fronts, in a fixed order; houses last."""
    rng = np.random.default_rng(104)
    fronts = []
    for style in _STYLES:
        for floors, bays in _HOUSE_SHAPES if style.house else _SHAPES:
            fronts.append(Facade(Texture(_front(rng, style, floors, bays)), floors, bays, style.house))
    return fronts


@lru_cache(maxsize=1)
def gables() -> list[Texture]:
    """Side walls with few windows or none."""
    rng = np.random.default_rng(105)
    blank = _Style((0.0, 0.0), 0, 1.0)
    return [Texture(_front(rng, style, 3, 3)) for style in (blank, blank._replace(brick=0.0), _STYLES[8], _STYLES[2])]


def _front(rng: np.random.Generator, style: _Style, floors: int, bays: int) -> NDArray[np.uint8]:
    floor, bay = 192 // max(floors, 3), 192 // max(bays, 3)
    height, width = floor * floors, bay * bays
    wall = _wall(rng, style, height, width)
    glass, trim = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    for row in range(floors):
        for column in range(bays):
            shop = style.shop and row == floors - 1
            share = (0.86, 0.72) if shop else style.window
            _window(rng, (glass, trim), (column * bay, row * floor, bay, floor), share, style.frame)
        if style.band:
            trim[row * floor : row * floor + max(2, floor // 10)] = 210
    if style.house or not style.shop:
        _door(trim, glass, int(rng.integers(bays)) * bay + bay // 3, height, bay // 3, int(floor * 0.68))
    trim[: max(2, floor // 12)] = 230
    covered = np.clip(np.maximum(glass, trim) * 4, 0, 255) / 255
    glass *= 1 - np.clip(trim * 2, 0, 255) / 255
    return as_bytes(np.dstack([wall * (1 - covered), glass, trim]))


def _wall(rng: np.random.Generator, style: _Style, height: int, width: int) -> NDArray[np.float32]:
    wall = 205 + 9 * noise(rng, height, width, 4, 2)
    if style.brick:
        course = 4
        rows = -(-height // course)
        bricks = rng.normal(0, 16, (rows, -(-width // 8))).astype(np.float32)
        large = cv2.resize(bricks, (bricks.shape[1] * 8, rows * course), interpolation=cv2.INTER_NEAREST)
        wall += style.brick * large[:height, :width]
        wall[::course] += 22 * style.brick
    else:
        wall += rng.normal(0, 4, (height, width)).astype(np.float32)
    return wall


def _window(
    rng: np.random.Generator,
    layers: tuple[NDArray[np.float32], NDArray[np.float32]],
    cell: tuple[int, int, int, int],
    share: tuple[float, float],
    frame: int,
) -> None:
    glass, trim = layers
    x, y, bay, floor = cell
    width, height = round(bay * share[0]), round(floor * share[1])
    if not width or not height:
        return
    left, top = x + (bay - width) // 2, y + round((floor - height) * 0.55)
    trim[max(0, top - frame) : top + height + frame, max(0, left - frame) : left + width + frame] = 220
    inside = (slice(top, top + height), slice(left, left + width))
    trim[inside] = 0
    # Glass mirrors the sky: brighter at the top, and each pane is hung a little differently.
    reflection = np.linspace(1.0, 0.55, height, dtype=np.float32)[:, None]
    glass[inside] = np.clip(rng.normal(150, 40), 60, 250) * reflection
    if frame and width > 8:
        trim[top : top + height, left + width // 2] = 200
    if rng.random() < 0.2:
        trim[top : top + height // 2, left : left + width] = 180


def _door(
    trim: NDArray[np.float32], glass: NDArray[np.float32], left: int, bottom: int, width: int, height: int
) -> None:
    trim[bottom - height : bottom, left : left + width] = 120
    glass[bottom - height : bottom, left : left + width] = 0
