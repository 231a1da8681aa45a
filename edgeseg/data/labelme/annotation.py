"""LabelMe's JSON: the shapes of one picture (labelme/shape.py in github.com/wkentaro/labelme).

`{"shapes": [{"label": "road", "points": [[0, 40], ...], "shape_type": "polygon"}], "imagePath": "a.png", ...}`
"""

from __future__ import annotations

import base64
import binascii
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from edgeseg.core.errors import DataError, nearest
from edgeseg.core.geometry import Size
from edgeseg.data.reading.json_fields import field, read_json, whole
from edgeseg.data.reading.pictures import MAX_PIXELS
from edgeseg.data.reading.polygons import BOX, ELLIPSE, LINE, POLYGON, Points
from edgeseg.data.reading.shapes import Annotation, Shape, points_from
from edgeseg.data.remarks import LeftOut

NO_AREA = "they cover no pixels"
POINTS = {kind: LeftOut(NO_AREA, what=f"shapes of type {kind}", kind=kind) for kind in ("point", "points")}
LINES = {
    kind: LeftOut(NO_AREA, what=f"shapes of type {kind}", kind=kind, option="line_width=3")
    for kind in ("line", "linestrip")
}
IGNORE, BACKGROUND = "__ignore__", "_background_"
"""What LabelMe's own export of masks (labelme2voc) takes for pixels to ignore, and for those under no shape."""
CORNERS = ("polygon", "oriented_rectangle", "rotation")  # the last is that of X-AnyLabeling
WITH_AREA = (*CORNERS, "rectangle", "circle", "mask")


def read_labelme(path: Path, line_width: int = 0) -> Annotation:
    """Read one file; lines are left out if they have no width. Raises DataError, naming the file and the shape."""
    return annotation_of(read_document(path), path, line_width)


def read_document(path: Path) -> dict[str, Any]:
    """Return the content of one file. Raises DataError."""
    return read_json(path, "LabelMe JSON with shapes")


def annotation_of(document: dict[str, Any], path: Path, line_width: int) -> Annotation:
    """Return what a file says, as `read_labelme`."""
    height, width = (whole(document.get(side)) or 0 for side in ("imageHeight", "imageWidth"))
    size = Size(height, width) if height > 0 < width else None
    listed = enumerate(field(document, "shapes", list, str(path)), 1)
    shapes: list[Shape] = []
    left_out: Counter[tuple[LeftOut, str]] = Counter()
    for number, each in listed:
        found = shape_of(each, f"{path}: shape {number}", line_width)
        if isinstance(found, Shape):
            shapes.append(found)
        else:
            left_out[found, _label(each["label"]) or IGNORE] += 1
    return Annotation(size, shapes, left_out=left_out)


def _label(text: str) -> str | None:
    label = " ".join(text.split())
    return None if label == IGNORE else label


def shape_of(entry: Any, place: str, line_width: int) -> Shape | LeftOut:
    """Return one of the file's shapes, or why it is none: points, and lines without a width. Raises DataError."""
    shape = _shape(entry, place, line_width)
    return replace(shape, is_background=True) if isinstance(shape, Shape) and shape.label == BACKGROUND else shape


def _shape(entry: Any, place: str, line_width: int) -> Shape | LeftOut:
    text = field(entry, "label", str, place)
    label, place = _label(text), f"{place} ({' '.join(text.split())})"
    kind = entry.get("shape_type") or "polygon"
    if isinstance(kind, str) and kind in (POINTS if line_width else {**POINTS, **LINES}):
        return {**POINTS, **LINES}[kind]
    if kind not in (*WITH_AREA, *LINES):
        raise DataError(f"{place}: shape type {kind!r}{nearest(str(kind), WITH_AREA)}; expected {', '.join(WITH_AREA)}")
    points = points_from(_flat(field(entry, "points", list, place), place), place)
    if kind == "mask":
        region = _region(field(entry, "mask", str, place), place)
        return Shape(label, place, region=region, origin=_origin(points, region, place))
    if kind in LINES:
        return Shape(label, place, points, kind=LINE, width=line_width)
    if kind == "circle":
        return Shape(label, place, _around(points, place), kind=ELLIPSE)
    return Shape(label, place, points, kind=BOX if kind == "rectangle" else POLYGON)


def _flat(points: list[Any], place: str) -> Iterator[Any]:
    for point in points:
        if not isinstance(point, list) or len(point) != 2:
            raise DataError(f"{place}: a point is {str(point)[:40]}; expected [x, y]")
        yield from point


def _around(points: Points, place: str) -> Points:
    if len(points) != 2:
        raise DataError(f"{place}: a circle of {len(points)} points; expected its centre and one on its edge")
    radius = float(np.hypot(*np.clip(points[1] - points[0], -1e9, 1e9)))
    return np.array([points[0] - radius, points[0] + radius])


def _origin(points: Points, region: NDArray[np.bool_], place: str) -> tuple[int, int]:
    """Return the mask's upper left corner; its two points are its first and its last pixel."""
    first, last = (np.trunc(np.clip(each, -MAX_PIXELS, MAX_PIXELS)).astype(int) for each in (points[0], points[-1]))
    width, height = np.abs(last - first) + 1
    if len(points) > 1 and region.shape != (height, width):
        raise DataError(
            f"{place}: a mask of {region.shape[1]}x{region.shape[0]} in a box of {width}x{height}; expected one size: "
            f"save the file again"
        )
    return int(first[0]), int(first[1])


def _region(text: str, place: str) -> NDArray[np.bool_]:
    """Return the mask in a PNG in base64, whose upper left corner is the shape's first point."""
    try:
        with PillowImage.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=("PNG",)) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise DataError(
                    f"{place}: a mask of {opened.width}x{opened.height}; expected at most {MAX_PIXELS} pixels"
                )
            plain = opened.mode in ("1", "L", "P")  # of a palette, the numbers count
            return np.array(opened if plain else opened.convert("L")) > 0
    except DataError:
        raise
    except (binascii.Error, Exception) as error:  # Pillow's readers raise many kinds
        raise DataError(f"{place}: 'mask' is no image; expected a PNG in base64: save the file again") from error
