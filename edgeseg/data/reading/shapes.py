"""Labels that are drawn: polygons and regions, filled into class-id masks in file order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import DataError, nearest
from edgeseg.core.geometry import Size
from edgeseg.core.labels import IGNORED, ClassMap, Colour, folded
from edgeseg.data.base import Mask
from edgeseg.data.reading.polygons import POLYGON, Canvas, Figure, Points
from edgeseg.data.remarks import LeftOut
from edgeseg.scenes import CLASSES as FOUNDING

Omissions = Mapping[tuple[LeftOut, str], int]
"""How many objects a reader leaves out, by reason and class."""


@dataclass(frozen=True)
class Shape:
    """An area of one class: a figure, or the pixels of a mask whose upper left corner lies at `origin` (x, y).

    Attributes:
        label: the class's name; None is ignore.
        place: names the object in messages.
        points, kind, width: as of `edgeseg.data.reading.polygons.Figure`.
        whole: the region is as large as the picture.
        is_background: it is as what lies under no shape, whatever its label is.
    """

    label: str | None
    place: str
    points: Points | None = None
    region: NDArray[np.bool_] | None = None
    origin: tuple[int, int] = (0, 0)
    whole: bool = False
    is_background: bool = False
    kind: str = POLYGON
    width: int = 1


class NoClassError(DataError):
    """Labels name no class."""


class Annotation(NamedTuple):
    """What an annotation file says of one picture.

    Attributes:
        size: what the picture was labelled at, if it says so.
        shapes: in the order they are drawn.
        exact: the size is that of the picture; otherwise it may be a placeholder, as in many exports to PASCAL VOC.
        left_out: the objects that the format draws none of.
    """

    size: Size | None
    shapes: Sequence[Shape]
    exact: bool = True
    left_out: Omissions = MappingProxyType({})


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


def draw(
    shapes: Iterable[Shape],
    size: Size,
    classes: ClassMap,
    unlabelled: int,
    rule: str,
    on_unseen: Callable[[Shape], None] = lambda shape: None,
) -> Mask:
    """Return the (H, W) uint8 class map of the shapes, later ones on top, over the class id `unlabelled`.

    Args:
        shapes: those of one `place` are parts of one object.
        size: of the picture.
        classes: what ids stand for.
        unlabelled: the id of pixels under no shape.
        rule: one of `edgeseg.data.reading.polygons`.
        on_unseen: told each object that covers no pixel of the picture, by its first part.

    Raises:
        DataError: the class of a shape is not among `classes`.
    """
    canvas = Canvas(size, unlabelled)
    seen: set[str] = set()
    unseen: dict[str, Shape] = {}
    for shape in shapes:
        if _painted(canvas, shape, _class_id(shape, classes, unlabelled), rule):
            seen.add(shape.place)
        else:
            unseen.setdefault(shape.place, shape)
    for place, shape in unseen.items():
        if place not in seen:
            on_unseen(shape)
    return np.ascontiguousarray(canvas.class_map)


def _painted(canvas: Canvas, shape: Shape, class_id: int, rule: str) -> bool:
    """Draw a shape; return whether it covers any pixel."""
    if shape.points is not None:
        return canvas.fill(Figure(shape.points, shape.kind, shape.width), class_id, rule)
    if shape.region is None:
        return False
    if shape.whole and shape.region.shape != canvas.size:
        found = Size(*shape.region.shape)
        raise DataError(f"{shape.place}: RLE of {found}; expected the picture's {canvas.size}: label it at its size")
    return canvas.paint(shape.region, shape.origin, class_id)


def _class_id(shape: Shape, classes: ClassMap, unlabelled: int) -> int:
    if shape.is_background:
        return unlabelled
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
