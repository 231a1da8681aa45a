"""The plan of an endless street: where the road, its strips and its frontages run. Metres; side is -1 left, 1 right."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeseg.scenes.chance import Layer, pick, span, uniforms
from edgeseg.scenes.light import Colour, rgb

BLOCK_M = 64.0
"""A side keeps its layout for a block and changes over the last third of it."""

BUILDINGS, HOUSES, WOOD, WALL, OPEN = range(5)
SIDES = (-1, 1)


class Layout(NamedTuple):
    """A side's strips from the kerb outwards: least and greatest width in metres, and what stands behind them."""

    verge: tuple[float, float]
    walk: tuple[float, float]
    lawn: tuple[float, float]
    frontage: int
    barrier: bool = False


LAYOUTS = (
    Layout((0, 0), (6, 10), (0, 0), BUILDINGS),
    Layout((2.5, 5), (5, 7), (0, 2), BUILDINGS),
    Layout((0, 0), (5, 7.5), (3, 7), BUILDINGS),
    Layout((2.5, 5), (4.5, 6), (5, 10), HOUSES),
    Layout((0, 0), (4.5, 6.5), (5, 10), HOUSES),
    Layout((0, 4), (5, 7), (5, 11), WOOD),
    Layout((0, 0), (0, 0), (6, 14), WOOD),
    Layout((0, 0), (0, 0), (14, 40), OPEN),
    Layout((0, 0), (0, 0), (2, 10), WOOD, barrier=True),
    Layout((0, 1), (0, 0), (8, 30), OPEN, barrier=True),
    Layout((0, 0), (5, 7.5), (0.3, 1.5), WALL),
    Layout((3, 7), (0, 0), (0.2, 1), WALL),
)


class _District(NamedTuple):
    """Chances: of the district, of each layout in it, of a parking lane on a side, of an overpass in each 150 m."""

    weight: float
    layouts: tuple[float, ...]
    parking: float
    overpass: float


_CITY = _District(0.34, (4, 3, 2, 0.3, 0.3, 1, 0, 0, 0, 0, 1.2, 0.5), 0.4, 0.35)
_SUBURB = _District(0.24, (0.3, 0.5, 1, 3, 3, 1.5, 0.3, 0.3, 0.2, 0, 0.8, 0.5), 0.3, 0.2)
_PARK = _District(0.18, (0, 0, 0.5, 0.6, 0.5, 3, 2, 1.5, 1, 0.5, 0.4, 0.6), 0.15, 0.25)
_THROUGH_ROAD = _District(0.24, (0, 0, 0.7, 0, 0, 0.5, 1, 1.2, 3, 2.5, 0.8, 2.0), 0.0, 0.6)
_DISTRICTS = (_CITY, _SUBURB, _PARK, _THROUGH_ROAD)


class Edges(NamedTuple):
    """Distances from the centre line, one an element: all of the given shape."""

    road: NDArray[np.float64]
    verge: NDArray[np.float64]
    walk: NDArray[np.float64]
    lawn: NDArray[np.float64]


class Spot(NamedTuple):
    """`Edges` at one place."""

    road: float
    verge: float
    walk: float
    lawn: float


class Street:
    """The street of a seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        # Asked for at every place of every frame; a view spans five blocks a side.
        self.layout = lru_cache(maxsize=64)(self._layout)
        self._widths = lru_cache(maxsize=64)(self._block_widths)
        u = uniforms(seed, Layer.STREET, 0, 48)[0]
        district = _DISTRICTS[pick(u[0], tuple(d.weight for d in _DISTRICTS))]
        self._layout_weights = district.layouts
        self.overpass_chance = district.overpass
        self.lane = span(u[1], 3.0, 3.7)
        self.lanes = {-1: 1 + int(u[2] < 0.4), 1: 1 + int(u[3] < 0.4)}
        self.parking = {side: 2.3 if u[4 + i] < district.parking else 0.0 for i, side in enumerate(SIDES)}
        lengths = np.array([span(u[6], 45, 80), span(u[7], 100, 190)])
        self._bends = span(u[8] ** 1.5, 0.0, 1.0) * np.array([0.10, 0.22]) * lengths
        self._waves, self._phases = 1 / lengths, u[9:11] * 2 * np.pi
        self.asphalt = rgb(1, 1, 1) * span(u[11], 60, 112) + rgb(6, 0, -6) * span(u[12], -1, 1)
        self.paving = _paving(u[13], u[14])
        self.grass = _grass(u[15], u[16], u[17])
        self.concrete = rgb(1, 1, 1) * span(u[18], 138, 200) + rgb(14, 4, -12) * span(u[19], -0.6, 1)
        self.leaf_hue = float(u[20])
        self.line = rgb(215, 215, 210) * span(u[22], 0.75, 1.1)
        self.middle_line = rgb(214, 170, 50) if u[21] < 0.35 else self.line
        self.worn = span(u[23], 0.86, 1.06)
        self.traffic = span(u[24], 0.05, 0.6)
        self.speed_m_s = span(u[25], 9.0, 14.0)
        self.far = u[30:46]

    def centre_at(self, z: float) -> float:
        """`centre` at a single z."""
        (a, b), (i, j), (p, q) = self._bends, self._waves, self._phases
        return float(a * math.sin(z * i + p) + b * math.sin(z * j + q))

    def centre(self, z: ArrayLike) -> NDArray[np.float64]:
        """X of the centre line."""
        angle = np.asarray(z, np.float64)[..., None] * self._waves + self._phases
        return np.asarray((self._bends * np.sin(angle)).sum(axis=-1))

    def slope(self, z: float) -> float:
        """Change of the centre line's X a metre."""
        return float((self._bends * self._waves * np.cos(z * self._waves + self._phases)).sum())

    def edges(self, side: int, z: NDArray[np.float64]) -> Edges:
        """Where the strips of a side end at each z."""
        block = np.floor(z / BLOCK_M).astype(np.int64)
        first = int(block.min())
        widths = np.array([self._widths(side, k) for k in range(first, int(block.max()) + 2)])
        t = np.clip((z / BLOCK_M - block) * 3 - 2, 0, 1)[:, None]
        t = t * t * (3 - 2 * t)
        here, there = widths[block - first], widths[block - first + 1]
        road, verge, walk, lawn = (here + (there - here) * t).T
        base = self.lane * self.lanes[side] + road
        return Edges(base, base + verge, base + verge + walk, base + verge + walk + lawn)

    def edges_at(self, side: int, z: float) -> Spot:
        """`edges` at a single z."""
        block = math.floor(z / BLOCK_M)
        here, there = self._widths(side, block), self._widths(side, block + 1)
        t = min(max((z / BLOCK_M - block) * 3 - 2, 0.0), 1.0)
        t = t * t * (3 - 2 * t)
        road, verge, walk, lawn = (a + (b - a) * t for a, b in zip(here, there, strict=True))
        road += self.lane * self.lanes[side]
        return Spot(road, road + verge, road + verge + walk, road + verge + walk + lawn)

    def _layout(self, side: int, block: int) -> Layout:
        u = uniforms(self.seed, Layer.BLOCK, 2 * block + (side > 0), 1)[0, 0]
        return LAYOUTS[pick(u, self._layout_weights)]

    def _block_widths(self, side: int, block: int) -> tuple[float, float, float, float]:
        layout = self.layout(side, block)
        u = uniforms(self.seed, Layer.WIDTH, 2 * block + (side > 0), 4)[0]
        extra = self.parking[side] or (0.5 + 1.5 * u[0] if layout.barrier else 0.6 * u[0])
        return extra, span(u[1], *layout.verge), span(u[2], *layout.walk), span(u[3], *layout.lawn)


def _paving(a: float, b: float) -> Colour:
    if a < 0.3:
        return rgb(172, 116, 96) * span(b, 0.85, 1.15)
    if a < 0.5:
        return rgb(186, 172, 146) * span(b, 0.8, 1.1)
    return rgb(1, 1, 1) * span(b, 142, 196)


def _grass(a: float, b: float, c: float) -> Colour:
    if a < 0.14:
        return rgb(168, 148, 88) * span(b, 0.8, 1.1)
    return rgb(span(b, 66, 118), span(c, 108, 146), span(a, 36, 66))
