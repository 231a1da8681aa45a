"""Polygons whose coordinates are those of pixel edges, filled to the bit as COCO's mask API fills them.

COCO's rule (rleFrPoly in maskApi.c, github.com/cocodataset/cocoapi): corners are rounded to a grid five times as fine
as the pixels, edges are traced on it, and where an edge passes the middle of a column of pixels, the column changes
between outside and inside, from the next row on whose middle lies below. So crossing outlines are filled by even and
odd. It is the rule of all that draw with pycocotools, CVAT's polygons in datumaro among them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Size

GRID = 5
BEFORE_MIDDLE = 2  # columns of the grid: the middle of a pixel's five lies behind its third
AT_ONCE = 1 << 20  # crossings that are computed together: bounds the memory for outlines of very many corners

Floats = NDArray[np.float64]
"""Whole numbers but for slopes; float64 holds all that occur exactly."""


def inside(points: Floats, size: Size) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Return the pixels of a picture that lie in a polygon: a (rows, columns) mask, and its corner (x, y).

    Args:
        points: (N, 2) x and y in pixels, 0 being the left and upper edge of the first; below 1e9, in or out of the
            picture.
        size: of the picture.
    """
    grid = np.trunc(GRID * points + 0.5)
    start, end = grid, np.roll(grid, -1, axis=0)
    low, high = np.minimum(start[:, 0], end[:, 0]), np.maximum(start[:, 0], end[:, 0])
    first = np.maximum(np.ceil((low - BEFORE_MIDDLE) / GRID), 0)
    count = np.minimum(np.floor((high - BEFORE_MIDDLE - 1) / GRID), size.width - 1) - first + 1
    passing = count > 0
    top, bottom = (int(row) for row in _rows(np.array([grid[:, 1].min(), grid[:, 1].max()]), size.height))
    if not passing.any() or top == bottom:
        return np.zeros((0, 0), np.bool_), (0, 0)
    start, end, first, count = start[passing], end[passing], first[passing], count[passing].astype(np.int64)
    left, right = int(first.min()), int((first + count).max())
    changes = np.zeros((bottom - top + 1, right - left), np.uint8)
    for part in np.array_split(np.arange(len(start)), 1 + len(start) * int(count.max()) // AT_ONCE):
        column, row = _crossings(start[part], end[part], first[part], count[part])
        np.add.at(changes, (_rows(row, size.height) - top, column - left), np.uint8(1))  # modulo 256: even stays even
    return (np.cumsum(changes[:-1], axis=0, dtype=np.uint8) & 1).astype(np.bool_), (left, top)


def _rows(row: Floats, height: int) -> NDArray[np.int64]:
    """Return the first rows of pixels whose middle lies below rows of the grid."""
    return np.clip(np.floor((row + BEFORE_MIDDLE) / GRID), 0, height).astype(np.int64)


def _crossings(start: Floats, end: Floats, first: Floats, count: NDArray[np.int64]) -> tuple[NDArray[np.int64], Floats]:
    """Return where edges pass the middles of columns: the columns of pixels, and the rows of the grid.

    An edge is traced along its longer axis, from its lower end on, a step of the grid at a time; where a step leads
    over the middle of a column, the upper of its two ends counts. Only those steps are computed.

    Args:
        start: (N, 2) x and y on the grid.
        end: as `start`.
        first: (N,) the first column that an edge passes.
        count: (N,) how many columns it passes.
    """
    flat = np.abs(end[:, 0] - start[:, 0]) >= np.abs(end[:, 1] - start[:, 1])
    start, end = (np.where(flat[:, None], each, each[:, ::-1]) for each in (start, end))  # along, and across
    turned = (start[:, 0] > end[:, 0])[:, None]
    start, end = np.where(turned, end, start), np.where(turned, start, end)
    edge = np.repeat(np.arange(len(start)), count)
    column = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge].astype(np.int64)
    middle = (GRID * column + BEFORE_MIDDLE).astype(np.float64)
    along, across = start[edge].T
    slope = ((end[:, 1] - start[:, 1]) / (end[:, 0] - start[:, 0]))[edge]

    def traced(step: Floats) -> Floats:
        return np.asarray(np.trunc(across + slope * step + 0.5))

    step = middle - along
    row = np.minimum(traced(step), traced(step + 1))  # of the flat ones; the steep ones go along the rows
    rising = slope > 0
    with np.errstate(divide="ignore", invalid="ignore"):  # a level edge is flat
        exact = np.where(flat[edge], 0, (middle + 0.5 - across) / slope)
    step = np.where(rising, np.ceil(exact) - 1, np.floor(exact))
    passed_late, passed_early = ((traced(step + more) <= middle) == rising for more in (1, 0))
    step += passed_late.astype(np.float64) - ~passed_early  # the division rounds: the trace decides
    return column, np.where(flat[edge], row, along + step)
