"""The outlines of regions, along the edges of their pixels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.int32]
"""(N, 2) x and y of corners of pixels; 0 is the left and upper edge of the first pixel."""
EAST, SOUTH, WEST, NORTH = range(4)
STEPS = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)])
ON_THE_RIGHT = np.array([(0, 0), (-1, 0), (-1, -1), (0, -1)])  # the pixel there, from where the edge begins


class Outline(NamedTuple):
    """One closed outline.

    Attributes:
        corners: (N, 2) in order; the last one's neighbour is the first.
        area: pixels within it; negative for a hole.
        pixel: x and y of a pixel of its region, beside it.
    """

    corners: Points
    area: int
    pixel: tuple[int, int]


def outlines(mask: NDArray[np.bool_]) -> list[Outline]:
    """Return the outline of each region of a (H, W) mask, and of each hole in one.

    A region hangs together by edges or corners of pixels (8-connected), a hole by edges. The region lies on the right
    of its outlines. All of them, filled by even and odd, are the mask.
    """
    starts, directions = _edges(mask)
    if not len(starts):
        return []
    ends = starts + STEPS[directions]
    follower = _followers(starts, ends, directions)
    order, begins = _loops(follower)
    areas = np.add.reduceat((starts[:, 0] * STEPS[directions, 1])[order], begins)  # Green's theorem
    pixels = (starts + ON_THE_RIGHT[directions])[order[begins]]
    turning = (directions != directions[follower])[order]
    corners = np.split(ends[order[turning]].astype(np.int32), np.cumsum(turning)[begins[1:] - 1])
    return list(map(Outline, corners, areas.tolist(), map(tuple, pixels.tolist())))


def _edges(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the edges between outside and inside begin, (N, 2) x and y, and their directions.

    Inside lies on their right; N is 0 for a mask without a pixel.
    """
    level, upright = np.pad(mask, ((1, 1), (0, 0))), np.pad(mask, ((0, 0), (1, 1)))
    found = {
        EAST: (level[1:] & ~level[:-1], (0, 0)),
        WEST: (level[:-1] & ~level[1:], (1, 0)),
        SOUTH: (upright[:, :-1] & ~upright[:, 1:], (0, 0)),
        NORTH: (upright[:, 1:] & ~upright[:, :-1], (0, 1)),
    }
    starts = []
    for edges, begin in found.values():
        row, column = np.divmod(np.flatnonzero(edges), edges.shape[1])  # many times as fast as argwhere
        starts.append(np.column_stack([column, row]) + begin)
    return np.concatenate(starts), np.repeat(list(found), [len(each) for each in starts])


def _followers(starts: NDArray[np.int64], ends: NDArray[np.int64], directions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each edge the one that goes on from its end: where pixels meet by a corner, of two the left one."""
    width = int(starts[:, 0].max(initial=0)) + 1
    start, end = (points[:, 1] * width + points[:, 0] for points in (starts, ends))
    order = np.argsort(start, kind="stable")
    first = np.searchsorted(start[order], end)
    second = np.minimum(first + 1, len(order) - 1)
    other = (start[order[second]] == end) & (directions[order[second]] == (directions + NORTH) % len(STEPS))
    return np.asarray(order[np.where(other, second, first)])


def _loops(follower: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the edges, those of each closed outline in order, and where in that list each outline begins."""
    following, passed = follower.tolist(), bytearray(len(follower))
    order: list[int] = []
    begins: list[int] = []
    for edge in range(len(following)):
        if not passed[edge]:
            begins.append(len(order))
        while not passed[edge]:
            passed[edge] = 1
            order.append(edge)
            edge = following[edge]
    return np.array(order), np.array(begins)
