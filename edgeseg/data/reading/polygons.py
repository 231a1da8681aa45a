"""Polygons, boxes, ellipses and lines, filled to the pixel as labelling tools fill them.

Tools differ in what a coordinate is. By pixel edges a pole from x 5 to 7 is two pixels wide, inclusive it is three:
- PIXEL, as pycocotools (`edgeseg.data.reading.pixel_edges`);
- OPENCV, inclusive: coordinates are cut to whole pixels, then cv2.fillPoly (Labelbox's SDK, Polygon.draw);
- PILLOW, inclusive: coordinates are cut to whole pixels, then ImageDraw (LabelMe's shape_to_mask).
Outlines that cross themselves are filled by even and odd by all three.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw

from edgeseg.core.geometry import Size
from edgeseg.data.base import Mask
from edgeseg.data.reading.pixel_edges import inside

Points = NDArray[np.float64]
"""(N, 2) x and y in pixels."""
POLYGON, BOX, ELLIPSE, LINE = "polygon", "box", "ellipse", "line"
PIXEL, OPENCV, PILLOW = "pixel edges, as pycocotools", "inclusive, as OpenCV", "inclusive, as Pillow"
FARTHEST = 1e8  # beyond this a coordinate says no more than 'outside'
SPARE = 1  # columns: cv2.fillPoly paints the first and last one beside edges that only touch them from outside
MARGIN = 1 << 14  # cv2 and Pillow are exact up to here; a corner cut so far outside turns no edge that is seen
ELLIPSE_CORNERS = 720  # the last on the first: datumaro's Ellipse.as_polygon


class Figure(NamedTuple):
    """What is filled.

    Attributes:
        points: the corners of a polygon or a line; of a box or an ellipse, two opposite corners of the box around it.
        kind: POLYGON, BOX, ELLIPSE or LINE.
        width: of a line, in pixels.
    """

    points: Points
    kind: str = POLYGON
    width: int = 1


class Canvas:
    """A picture's class map, which figures and masks are painted into, later ones on top.

    Attributes:
        size: of the picture.
        class_map: (H, W) uint8.
    """

    def __init__(self, size: Size, background: int) -> None:
        self.size = size
        self.wide = np.full((size.height, size.width + 2 * SPARE), background, np.uint8)
        self.class_map: Mask = self.wide[:, SPARE:-SPARE]

    def fill(self, figure: Figure, value: int, rule: str) -> bool:
        """Fill a figure by one of the three rules, in or out of the picture; return whether it covers any pixel."""
        figure = figure._replace(points=np.clip(figure.points, -FARTHEST, FARTHEST))
        return FILLS[PILLOW if figure.kind == LINE else rule](self, figure, value)

    def paint(self, region: NDArray[np.bool_], origin: tuple[int, int], value: int) -> bool:
        """Set the pixels of a mask whose upper left corner lies at `origin` (x, y), in or out of the picture.

        Returns whether it has any in the picture.
        """
        left, top = origin
        part = self.class_map[max(top, 0) : max(top + len(region), 0), max(left, 0) : max(left + region.shape[1], 0)]
        seen = region[max(-top, 0) :, max(-left, 0) :][: part.shape[0], : part.shape[1]]
        part[seen] = value
        return bool(seen.any())


def outline(figure: Figure) -> Points:
    """Return the corners of a polygon, a box or an ellipse."""
    if figure.kind == POLYGON:
        return figure.points
    (left, top), (right, bottom) = figure.points.min(axis=0), figure.points.max(axis=0)
    if figure.kind == BOX:
        return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    angles = np.linspace(0, 2 * np.pi, ELLIPSE_CORNERS)
    x = 0.5 * (left + right) + 0.5 * (right - left) * np.cos(angles)
    y = 0.5 * (top + bottom) + 0.5 * (bottom - top) * np.sin(angles)
    return np.column_stack([x, y])


def _fill_by_pixel_edges(canvas: Canvas, figure: Figure, value: int) -> bool:
    return canvas.paint(*inside(outline(figure), canvas.size), value)


def _fill_by_opencv(canvas: Canvas, figure: Figure, value: int) -> bool:
    corners = np.add(_whole(clipped(outline(figure), canvas.size)), (SPARE, 0)).astype(np.int32)
    if not len(corners):  # it may lie outside altogether
        return False
    cv2.fillPoly(canvas.wide, [corners], value)
    in_picture = (corners >= (SPARE, 0)) & (corners < (canvas.size.width + SPARE, canvas.size.height))
    if in_picture.all(axis=1).any():  # the outline is filled too
        return True
    alone = np.zeros_like(canvas.wide)
    cv2.fillPoly(alone, [corners], 1)
    return bool(alone[:, SPARE:-SPARE].any())


def _fill_by_pillow(canvas: Canvas, figure: Figure, value: int) -> bool:
    if figure.kind == ELLIPSE and np.abs(figure.points).max() > MARGIN:
        figure = Figure(outline(figure))
    if figure.kind == LINE:
        corners = np.clip(figure.points, -MARGIN, MARGIN)
    else:
        corners = clipped(outline(figure) if figure.kind == BOX else figure.points, canvas.size)
    corners = _whole(corners)
    if not len(corners):
        return False
    image = PillowImage.new("L", (canvas.size.width, canvas.size.height))
    _draw(ImageDraw.Draw(image), [(x, y) for x, y in corners.tolist()], figure)
    box = image.getbbox()
    return box is not None and canvas.paint(np.asarray(image.crop(box), np.bool_), box[:2], value)


def _draw(draw: ImageDraw.ImageDraw, points: list[tuple[float, float]], figure: Figure) -> None:
    box = [min(x for x, _ in points), min(y for _, y in points), max(x for x, _ in points), max(y for _, y in points)]
    if figure.kind == LINE:
        draw.line(points, fill=1, width=figure.width)
    elif figure.kind == ELLIPSE:
        draw.ellipse(box, fill=1, outline=1)
    elif figure.kind == BOX:
        draw.rectangle(box, fill=1, outline=1)
    else:
        draw.polygon(points if len(points) > 1 else points * 2, fill=1, outline=1)


FILLS: dict[str, Callable[[Canvas, Figure, int], bool]] = {
    PIXEL: _fill_by_pixel_edges,
    OPENCV: _fill_by_opencv,
    PILLOW: _fill_by_pillow,
}


def _whole(points: Points) -> Points:
    """Cut coordinates to whole ones, towards 0, as a C cast does and so both libraries, and Labelbox's SDK."""
    return np.trunc(points)


def clipped(points: Points, size: Size) -> Points:
    """Clip a polygon to the picture and a margin around it (Sutherland and Hodgman 1974), so that no edge turns."""
    for axis, limit in ((0, size.width), (1, size.height)):
        for sign, bound in ((1, -MARGIN), (-1, -(limit - 1 + MARGIN))):
            points = _clipped_at(points, axis, sign, bound)
    return points


def _clipped_at(points: Points, axis: int, sign: int, bound: float) -> Points:
    within = sign * points[:, axis] - bound
    if (within >= 0).all():
        return points
    kept: list[Points] = []
    for index in range(len(points)):
        start, end = points[index - 1], points[index]
        if (within[index - 1] < 0) != (within[index] < 0):
            kept.append(start + (end - start) * (within[index - 1] / (within[index - 1] - within[index])))
        if within[index] >= 0:
            kept.append(end)
    return np.array(kept, np.float64).reshape(-1, 2)
