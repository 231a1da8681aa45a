"""CVAT's shapes, drawn as CVAT's own export of masks draws them (cvat/apps/dataset_manager/formats/transformations.py).

Polygons and boxes have pixel edges, filled by pycocotools; a turned box is a polygon; an ellipse is filled by
cv2.ellipse, its centre and radii rounded; a mask is run lengths along the rows of its box.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from edgeseg.core.errors import DataError, nearest
from edgeseg.core.geometry import Size
from edgeseg.data.cvat.annotation import LINES, NUMBER, WITHOUT_AREA, CvatFrame, CvatShape
from edgeseg.data.reading.pictures import MAX_PIXELS
from edgeseg.data.reading.polygons import BOX, ELLIPSE, LINE, MARGIN, Figure, Points, outline
from edgeseg.data.reading.rle import mask_from_row_rle
from edgeseg.data.reading.shapes import Annotation, Omissions, Shape, points_from
from edgeseg.data.remarks import LeftOut

_OF_KIND = {
    kind: LeftOut("they cover no pixels", what=f"<{kind}>s", kind=kind, option="line_width=3" if kind == LINES else "")
    for kind in WITHOUT_AREA
}


@dataclass(frozen=True)
class CvatDrawing:
    """How shapes are drawn.

    Attributes:
        line_width: of polylines, in pixels; 0 leaves them out.
        own_ellipses: ellipses as CVAT draws them, not by the rule that polygons are drawn by.
    """

    line_width: int = 0
    own_ellipses: bool = True


def annotation_of(frame: CvatFrame, drawing: CvatDrawing) -> Annotation:
    """Return a frame's shapes, those of a higher z_order later, else in the order of the file. Raises DataError."""
    kept = [each for each in frame.shapes if each.kind != LINES or drawing.line_width]
    ordered = sorted(kept, key=lambda each: _whole(each, "z_order", f"{frame.where}: {each.place}", "0"))
    shapes = [_shape(each, frame, drawing) for each in ordered]
    return Annotation(frame.size, shapes, True, left_out(frame, drawing))


def left_out(frame: CvatFrame, drawing: CvatDrawing) -> Omissions:
    """Return what of a frame's shapes is not drawn."""
    drawn = LINES if drawing.line_width else ""
    return {(_OF_KIND[kind], label): count for (kind, label), count in frame.without_area.items() if kind != drawn}


def _shape(shape: CvatShape, frame: CvatFrame, drawing: CvatDrawing) -> Shape:
    place = f"{frame.where}: {shape.place}"
    if not shape.label:
        raise DataError(f"{place} has no label; expected the class it is of")
    if shape.kind not in KINDS:
        raise DataError(f"{place}: <{shape.kind}>{nearest(shape.kind, KINDS)}; expected {', '.join(KINDS)}")
    if shape.kind == "ellipse" and drawing.own_ellipses and frame.size:
        return _own_ellipse(shape, f"{place} ({shape.label})", frame.size)
    made = KINDS[shape.kind](shape, f"{place} ({shape.label})")
    return (
        Shape(made.label, made.place, made.points, kind=LINE, width=drawing.line_width) if shape.kind == LINES else made
    )


def _polygon(shape: CvatShape, place: str) -> Shape:
    pairs = [pair.split(",") for pair in shape.attributes.get("points", "").split(";")]
    if any(len(pair) != 2 for pair in pairs):
        raise DataError(f"{place}: points {shape.attributes.get('points', '')[:40]!r}; expected x,y;x,y;x,y")
    return Shape(shape.label, place, points_from((value for pair in pairs for value in pair), place))


def _box(shape: CvatShape, place: str) -> Shape:
    corners = _numbers(shape.attributes, ("xtl", "ytl", "xbr", "ybr"), place)
    angle = _angle(shape, place)
    if not angle:
        return Shape(shape.label, place, corners, kind=BOX)
    return Shape(shape.label, place, _turned(outline(Figure(corners, BOX)), corners.mean(axis=0), angle))


def _ellipse(shape: CvatShape, place: str) -> Shape:
    centre, radii = _centre_and_radii(shape, place)
    corners = np.array([centre - radii, centre + radii])
    angle = _angle(shape, place)
    if not angle:
        return Shape(shape.label, place, corners, kind=ELLIPSE)
    return Shape(shape.label, place, _turned(outline(Figure(corners, ELLIPSE)), centre, angle))


def _own_ellipse(shape: CvatShape, place: str, size: Size) -> Shape:
    centre, radii = (np.round(each) for each in _centre_and_radii(shape, place))
    farthest = int(radii.max()) + 1
    if max(np.abs(centre).max(), farthest) > MARGIN:
        return _ellipse(shape, place)
    left, top = (max(0, int(middle) - farthest) for middle in centre)
    right, bottom = (min(side, int(middle) + farthest + 1) for side, middle in zip(size[::-1], centre, strict=True))
    height, width = max(bottom - top, 1), max(right - left, 1)
    if height * width > MAX_PIXELS:  # no picture is so large, whatever the file states
        return _ellipse(shape, place)
    drawn = np.zeros((height, width), np.uint8)
    middle, axes = (int(centre[0]) - left, int(centre[1]) - top), (int(radii[0]), int(radii[1]))
    cv2.ellipse(drawn, middle, axes, _angle(shape, place), 0, 360, 1, thickness=cv2.FILLED)
    return Shape(shape.label, place, region=drawn > 0, origin=(left, top))


def _centre_and_radii(shape: CvatShape, place: str) -> tuple[Points, Points]:
    centre, radii = _numbers(shape.attributes, ("cx", "cy", "rx", "ry"), place)
    if radii.min() < 0:
        raise DataError(f"{place}: radii {radii[0]:g} and {radii[1]:g}; expected 0 or more")
    return centre, radii


def _mask(shape: CvatShape, place: str) -> Shape:
    left, top, width, height = (_whole(shape, key, place) for key in ("left", "top", "width", "height"))
    if min(width, height) < 1 or width * height > MAX_PIXELS:
        raise DataError(f"{place}: a mask of {width}x{height}; expected 1 to {MAX_PIXELS} pixels")
    runs = [run.strip() for run in shape.attributes.get("rle", "").split(",")]
    odd = next((run for run in runs if not re.fullmatch("[0-9]{1,9}", run)), None)
    if odd is not None:
        raise DataError(f"{place}: run {odd[:40]!r} in its rle; expected whole numbers from 0, joined by commas")
    region = mask_from_row_rle([int(run) for run in runs], Size(height, width), place)
    return Shape(shape.label, place, region=region, origin=(left, top))


KINDS: dict[str, Callable[[CvatShape, str], Shape]] = {
    "polygon": _polygon,
    "box": _box,
    "ellipse": _ellipse,
    "mask": _mask,
    LINES: _polygon,
}


def _numbers(attributes: Mapping[str, str], keys: Iterable[str], place: str) -> Points:
    return points_from((attributes.get(key, "") for key in keys), place)


def _whole(shape: CvatShape, key: str, place: str, default: str = "") -> int:
    text = shape.attributes.get(key, default).strip()
    if not NUMBER.fullmatch(text):
        raise DataError(f"{place}: {key} {text[:40]!r}; expected a whole number")
    return int(text)


def _angle(shape: CvatShape, place: str) -> float:
    """Return the rotation in degrees, clockwise."""
    return float(points_from((shape.attributes.get("rotation", "0"), "0"), f"{place}: rotation")[0, 0]) % 360


def _turned(points: Points, centre: Points, degrees: float) -> Points:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.asarray(centre + (points - centre) @ np.array([[cosine, sine], [-sine, cosine]]))
