"""`labelme:PATH`: folders of LabelMe JSON, a file beside each picture, drawn into masks in file order.

Layout: `*.json` with the pictures beside them, or where `imagePath` says within PATH, or in the folder of the option
`images`, or embedded as `imageData`. Folders `train/`, `val/` and `test/` are the splits if all files lie in them;
otherwise whole drives are chosen (`edgeseg.data.splits`).

Polygons, rectangles, circles and masks are drawn to the bit as LabelMe's shape_to_mask draws them, or by pixel edges
with the option `edges`. Points and lines cover no pixels and are left out; the option `line_width` gives lines a width.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from edgeseg.core.errors import DataError, nearest
from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.data.base import BrokenSample, EncodedSample, Sample
from edgeseg.data.reading.causes import Survey
from edgeseg.data.reading.drawn import (
    DRAWN_OPTIONS,
    DrawnSample,
    DrawRule,
    drawn_classes,
    errors_name,
    parse_line_width,
    reject_duplicate_images,
)
from edgeseg.data.reading.json_fields import field, read_json, whole
from edgeseg.data.reading.listing import data_folder, files_in
from edgeseg.data.reading.lookup import find_image
from edgeseg.data.reading.pictures import MAX_PIXELS, Encoded, PictureFile
from edgeseg.data.reading.polygons import BOX, ELLIPSE, LINE, PILLOW, POLYGON, Points
from edgeseg.data.reading.shapes import Annotation, Shape, points_from
from edgeseg.data.remarks import LeftOut, Remark
from edgeseg.data.splits import SPLIT_OPTIONS, ListedDataset, SplitRule

NO_AREA = "they cover no pixels"
POINTS = {kind: LeftOut(NO_AREA, what=f"shapes of type {kind}", kind=kind) for kind in ("point", "points")}
LINES = {
    kind: LeftOut(NO_AREA, what=f"shapes of type {kind}", kind=kind, option="line_width=3")
    for kind in ("line", "linestrip")
}
IGNORE, BACKGROUND = "__ignore__", "_background_"
"""What LabelMe's own export of masks (labelme2voc) takes for pixels to ignore, and for those under no shape."""
UNDER_NO_SHAPE = Remark(
    f"shapes called {BACKGROUND}: as in LabelMe, pixels under no shape are of this class too; unlabelled=ignore "
    f"ignores both",
    False,
)
NOT_BACKGROUND = LeftOut(
    f"in LabelMe {BACKGROUND} is what is under no shape, which is ignored",
    what=f"shapes called {BACKGROUND}",
    kind="background",
    option=f"unlabelled={BACKGROUND}",
)
CORNERS = ("polygon", "oriented_rectangle", "rotation")  # the last is that of X-AnyLabeling
WITH_AREA = (*CORNERS, "rectangle", "circle", "mask")


def read_labelme(path: Path, line_width: int = 0) -> Annotation:
    """Read one file; lines are left out if they have no width. Raises DataError, naming the file and the shape."""
    return _annotation(_document(path), path, line_width)


def _document(path: Path) -> dict[str, Any]:
    return read_json(path, "LabelMe JSON with shapes")


def _annotation(document: dict[str, Any], path: Path, line_width: int) -> Annotation:
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


class LabelMeSample(DrawnSample):
    """A picture and its JSON file."""

    def __init__(
        self,
        path: Path,
        image: PictureFile,
        classes: ClassMap,
        rule: DrawRule,
        line_width: int = 0,
        document: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(str(path), image, classes, rule)
        self.path, self.line_width = path, line_width
        self._document = document

    def _annotation(self) -> Annotation:
        document = _document(self.path) if self._document is None else self._document
        return _annotation(document, self.path, self.line_width)

    def _examine(self, shapes: Sequence[Shape], size: Size) -> None:
        count = sum(shape.is_background for shape in shapes)
        if count and self.rule.unlabelled == self.classes.ignore_index:
            self.rule.tell_left_out({(NOT_BACKGROUND, ""): count}, self.tell)
        elif count and self.classes.index(BACKGROUND) == self.rule.unlabelled:
            self.tell(UNDER_NO_SHAPE, count)


class EmbeddedSample(EncodedSample):
    """A JSON file that holds its picture; it is read when it is asked for, once for picture and labels."""

    def __init__(self, path: Path, classes: ClassMap, rule: DrawRule, line_width: int = 0) -> None:
        super().__init__(str(path), classes)
        self.path, self.line_width = path, line_width
        self.rule = rule

    def _opened(self) -> LabelMeSample:
        document, place = _document(self.path), f"{self.path}: imageData"
        text = field(document, "imageData", str, str(self.path))
        try:
            picture = Encoded(base64.b64decode("".join(text.split()), validate=True), place)
        except (binascii.Error, ValueError) as error:
            raise DataError(f"{place}: {error}; expected a picture in base64: save the file again") from error
        return LabelMeSample(self.path, picture, self.classes, self.rule, self.line_width, document)


class LabelMe(ListedDataset):
    """The classes are the labels in the files: the founding label set first, then the others by name."""

    OPTIONS: ClassVar = {
        **DRAWN_OPTIONS,
        "line_width": "draw lines and line strips so many pixels wide; without it they are left out",
        **SPLIT_OPTIONS,
    }

    def __init__(
        self,
        argument: str,
        *,
        names: str = "",
        unlabelled: str = "",
        images: str = "",
        sizes: str = "check",
        edges: str = "inclusive",
        leave_out: str = "",
        line_width: str = "0",
        **split: str,
    ) -> None:
        self.root = data_folder(argument, "a folder of LabelMe JSON files and pictures")
        paths = files_in(self.root, ".json")
        if not paths:
            raise DataError(f"{self.root}: no JSON file; expected LabelMe's *.json beside the pictures")
        self._line_width = parse_line_width(line_width)
        survey = Survey(paths, lambda path: read_labelme(path, self._line_width))
        found = [] if names else list(survey.names())
        listed = [name for name in names.split(",") if name.strip() != IGNORE]
        if survey.has_background or BACKGROUND in map(str.strip, listed):
            unlabelled = unlabelled or BACKGROUND
        with errors_name(self.root, survey.why_no_class):
            self.classes, background = drawn_classes(found, ",".join(listed), unlabelled)
        self._rule = DrawRule(background, sizes, edges, PILLOW, leave_out)
        for path, left_out in survey.left_out.items():
            self._rule.tell_left_out(left_out, self.remarks.of(str(path)))
        self.edges = self._rule.fill
        self._images = self.root / images if images else None
        keys = [path.relative_to(self.root).with_suffix("").as_posix() for path in paths]
        samples = reject_duplicate_images(self._sample(path, key) for path, key in zip(paths, keys, strict=True))
        self._divide(samples, keys, SplitRule.parse(split))

    def _sample(self, path: Path, key: str) -> Sample:
        folders = [self._images] if self._images else [path.parent, self.root, self.root / "images"]
        document: dict[str, Any] = {}

        def hints() -> Iterator[str]:
            document.update(_document(path))
            if isinstance(document.get("imagePath"), str):
                yield document["imagePath"]

        try:
            image = find_image(self.root, folders, hints(), [key, path.stem])
            if image is None and document.get("imageData"):
                return EmbeddedSample(path, self.classes, self._rule, self._line_width)
            if image is None:
                raise DataError(
                    f"{path}: no image of this name beside it or in {folders[-1]}, and none in it (imageData); say "
                    f"images=FOLDER"
                )
        except DataError as error:
            return BrokenSample(str(path), self.classes, error)
        return LabelMeSample(path, image, self.classes, self._rule, self._line_width)
