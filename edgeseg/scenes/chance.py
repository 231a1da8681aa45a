"""Random numbers addressed by place: what stands at a spot never depends on how one came to look at it."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

_WORD = (1 << 64) - 1


class Layer(IntEnum):
    """What a number is drawn for; two layers never share numbers."""

    STREET = 1
    LIGHT = 2
    CAMERA = 3
    WIDTH = 4
    BLOCK = 5
    BUILDING = 7
    STREET_TREE = 9
    WOOD = 11
    WALL = 13
    PARKED = 15
    TRAFFIC = 17
    POST = 25
    PEDESTRIAN = 27
    BUSH = 29
    OVERPASS = 31
    CROSSING = 32
    NOISE = 33


def uniforms(seed: int, layer: int, cells: ArrayLike, count: int) -> NDArray[np.float64]:
    """Return (len(cells), count) numbers in [0, 1), a function of seed, layer, cell and column alone.

    The mixing steps are those of SplitMix64 (Steele, Lea and Flood, 2014): a generator object for each of some
    hundred places a frame would cost more time than drawing them.
    """
    start = np.array((seed * 0x9E3779B97F4A7C15 + layer * 0xD1B54A32D192ED03) & _WORD, np.uint64)
    rows = np.atleast_1d(np.asarray(cells, np.int64)).astype(np.uint64)[:, None]
    columns = np.arange(1, count + 1, dtype=np.uint64)[None, :]
    x = _mix(_mix(start.reshape(1, 1)) + rows * np.uint64(0xBF58476D1CE4E5B9))
    x = _mix(x + columns * np.uint64(0x94D049BB133111EB))
    return np.asarray((x >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


def pick(u: float, weights: tuple[float, ...]) -> int:
    """Turn a number in [0, 1) into an index drawn with these weights."""
    left = float(u) * sum(weights)
    for index, weight in enumerate(weights):
        left -= weight
        if left < 0:
            return index
    return len(weights) - 1


def span(u: float, low: float, high: float) -> float:
    """Turn a number in [0, 1) into one in [low, high)."""
    return low + (high - low) * float(u)
