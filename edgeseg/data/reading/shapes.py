"""Labels that are drawn: polygons and regions, filled into class-id masks in file order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import DataError, nearest
from edgeseg.core.geometry import Size
from edgeseg.core.labels import IGNORED, ClassMap, Colour, folded
from edgeseg.data.base import Mask
from edgeseg.scenes import CLASSES as FOUNDING

Points = NDArray[np.float64]
"""(N, 2) x and y in pixels."""
FARTHEST = 1e9  # beyond this a coordinate says no more than 'outside'
SPARE = 1  # columns: cv2.fillPoly paints the first and last one beside edges that only touch them from outside
MARGIN = 1 << 14  # cv2.fillPoly is exact up to here; a corner cut so far outside and rounded turns no edge that is seen


@dataclass(frozen=True)
class Shape:
    """An area of one class: a polygon, or the pixels of a mask whose upper left corner lies at `origin` (x, y).

    Attributes:
        label: the class's name; None is ignore.
        place: names the object in messages.
        whole: the region is as large as the picture.
    """

    label: str | None
    place: str
    points: Points | None = None
    region: NDArray[np.bool_] | None = None
    origin: tuple[int, int] = (0, 0)
    whole: bool = False


class NoClassError(DataError):
    """Labels name no class."""


class Annotation(NamedTuple):
    """What an annotation file says of one picture.

    Attributes:
        size: what the picture was labelled at, if it says so.
        shapes: in the order they are drawn.
        exact: the size is that of the picture; otherwise it may be a placeholder, as in many exports to PASCAL VOC.
    """

    size: Size | None
    shapes: Sequence[Shape]
    exact: bool = True


def points_from(values: Iterable[Any], place: str) -> Points:
    """Return numbers x, y, x, y ... as points. Raises DataError, naming `place`, if they are none."""
    try:
        numbers = np.array([float(value) for value in values], np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{place}: {error}; expected coordinates as numbers") from error
    if not numbers.size or numbers.size % 2:
        raise DataError(f"{place}: {numbers.size} coordinates; expected pairs of x and y")
    if not np.isfinite(numbers).all():
        raise DataError(f"{place}: coordinate {numbers[~np.isfinite(numbers)][0]}; expected finite numbers")
    return numbers.reshape(-1, 2)


def rectangle(points: Points) -> Points:
    """Return the four corners of the rectangle around the points."""
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def draw(shapes: Iterable[Shape], size: Size, classes: ClassMap, unlabelled: int) -> Mask:
    """Return the (H, W) uint8 class map of the shapes, later ones on top, over the class id `unlabelled`.

    Raises DataError for a shape whose class is not among `classes`.
    """
    wide = np.full((size.height, size.width + 2 * SPARE), unlabelled, np.uint8)
    canvas = wide[:, SPARE:-SPARE]
    for shape in shapes:
        class_id = _class_id(shape, classes)
        if shape.points is not None:
            corners = np.add(np.rint(clipped(shape.points, size)), (SPARE, 0)).astype(np.int32)
            if len(corners):  # a polygon may lie outside altogether
                cv2.fillPoly(wide, [corners], class_id)
        if shape.region is not None:
            if shape.whole and shape.region.shape != size:
                found = Size(*shape.region.shape)
                raise DataError(f"{shape.place}: RLE of {found}; expected the picture's {size}: label it at its size")
            _paint(canvas, shape.region, shape.origin, class_id)
    return np.ascontiguousarray(canvas)


def clipped(points: Points, size: Size) -> Points:
    """Clip a polygon to the picture and a margin around it (Sutherland and Hodgman 1974), so that no edge turns."""
    points = np.clip(points, -FARTHEST, FARTHEST)
    for axis, limit in ((0, size.width), (1, size.height)):
        for sign, bound in ((1, -MARGIN), (-1, -(limit - 1 + MARGIN))):
            points = _clipped_at(points, axis, sign, bound)
    return points


def _clipped_at(points: Points, axis: int, sign: int, bound: float) -> Points:
    inside = sign * points[:, axis] - bound
    if (inside >= 0).all():
        return points
    kept: list[Points] = []
    for index in range(len(points)):
        start, end = points[index - 1], points[index]
        if (inside[index - 1] < 0) != (inside[index] < 0):
            kept.append(start + (end - start) * (inside[index - 1] / (inside[index - 1] - inside[index])))
        if inside[index] >= 0:
            kept.append(end)
    return np.array(kept, np.float64).reshape(-1, 2)


def _paint(canvas: Mask, region: NDArray[np.bool_], origin: tuple[int, int], class_id: int) -> None:
    left, top = origin
    part = canvas[max(top, 0) : max(top + region.shape[0], 0), max(left, 0) : max(left + region.shape[1], 0)]
    seen = region[max(-top, 0) :, max(-left, 0) :][: part.shape[0], : part.shape[1]]
    part[seen] = class_id


def _class_id(shape: Shape, classes: ClassMap) -> int:
    if shape.label is None or folded(shape.label) == IGNORED:
        return classes.ignore_index
    index = classes.index(shape.label)
    if index is None:
        raise DataError(
            f"{shape.place}: class {shape.label!r} is not in the class list{nearest(shape.label, classes.names)}; "
            f"expected one of {', '.join(classes.names)}, or {IGNORED}"
        )
    return index


def classes_from_names(names: Iterable[str], in_order: bool = False) -> ClassMap:
    """Return a ClassMap of the names that data holds, each once, whatever its case; `ignore` is none.

    The founding label set's names come first in its order and with its colours; the others follow by name, so that the
    order does not depend on which picture is read first. With `in_order` the order is that of `names`.
    Raises DataError if there is none.
    """
    found: dict[str, str] = {}
    for name in names:
        if folded(name) not in ("", IGNORED):
            found.setdefault(folded(name), " ".join(name.split()))
    if not found:
        raise NoClassError("no class found; expected at least one labelled object with a class name")
    founding = {folded(name): index for index, name in enumerate(FOUNDING.names)}
    order = list(found) if in_order else sorted(found, key=lambda key: (founding.get(key, len(founding)), key))
    colours = distinct_colours(len(order), avoid=FOUNDING.colours)
    return ClassMap(
        tuple(FOUNDING.names[founding[key]] if key in founding and not in_order else found[key] for key in order),
        tuple(FOUNDING.colours[founding[key]] if key in founding else next(colours) for key in order),
    )


def distinct_colours(count: int, avoid: Iterable[Colour] = ()) -> Iterator[Any]:
    """Yield `count` RGB colours that differ from each other and from those to avoid: the colour map of PASCAL VOC."""
    used = {(0, 0, 0), *avoid}
    index = given = 0
    while given < count:
        index += 1
        colour = tuple(sum((index >> 3 * bit + channel & 1) << 7 - bit for bit in range(8)) for channel in range(3))
        if colour not in used:
            given += 1
            yield colour
