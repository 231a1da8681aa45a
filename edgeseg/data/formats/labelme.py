"""`labelme:PATH`: folders of LabelMe JSON, a file beside each picture, drawn into masks in file order.

Layout: `*.json` with the pictures beside them, or where `imagePath` says within PATH, or in the folder of the option
`images`, or embedded as `imageData`. Folders `train/`, `val/` and `test/` are the splits if all files lie in them;
otherwise whole drives are chosen (`edgeseg.data.splits`).

Polygons, rectangles, circles and masks are drawn; points and lines cover no pixels and are left out.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from edgeseg.core.errors import DataError, nearest
from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.data.base import BrokenSample, EncodedSample, Sample
from edgeseg.data.reading.causes import why_no_class
from edgeseg.data.reading.drawn import DRAWN_OPTIONS, DrawnSample, DrawRule, drawn_classes, reject_duplicate_images
from edgeseg.data.reading.json_fields import field, read_json
from edgeseg.data.reading.listing import data_folder, files_in
from edgeseg.data.reading.lookup import find_image
from edgeseg.data.reading.pictures import MAX_PIXELS, Encoded, PictureFile
from edgeseg.data.reading.shapes import Annotation, NoClassError, Points, Shape, points_from, rectangle
from edgeseg.data.splits import SPLIT_OPTIONS, ListedDataset, SplitRule

WITHOUT_AREA = ("point", "points", "line", "linestrip")
CORNERS = ("polygon", "oriented_rectangle", "rotation")  # the last is that of X-AnyLabeling
WITH_AREA = (*CORNERS, "rectangle", "circle", "mask")
CIRCLE_CORNERS = 90


def read_labelme(path: Path) -> Annotation:
    """Read one file. Raises DataError, naming the file and the shape."""
    return _annotation(_document(path), path)


def _document(path: Path) -> dict[str, Any]:
    return read_json(path, "LabelMe JSON with shapes")


def _annotation(document: dict[str, Any], path: Path) -> Annotation:
    height, width = document.get("imageHeight"), document.get("imageWidth")
    size = Size(height, width) if type(height) is int and type(width) is int and height > 0 < width else None
    listed = enumerate(field(document, "shapes", list, str(path)), 1)
    shapes = [_shape(each, f"{path}: shape {number}") for number, each in listed]
    return Annotation(size, [shape for shape in shapes if shape])


def _shape(entry: Any, place: str) -> Shape | None:
    label = field(entry, "label", str, place)
    place = f"{place} ({' '.join(label.split())})"
    kind = entry.get("shape_type") or "polygon"
    if kind in WITHOUT_AREA:
        return None
    if kind not in WITH_AREA:
        raise DataError(f"{place}: shape type {kind!r}{nearest(str(kind), WITH_AREA)}; expected {', '.join(WITH_AREA)}")
    points = points_from(_flat(field(entry, "points", list, place), place), place)
    if kind == "mask":
        left, top = (int(value) for value in np.rint(np.clip(points[0], -MAX_PIXELS, MAX_PIXELS)))
        return Shape(label, place, region=_region(field(entry, "mask", str, place), place), origin=(left, top))
    if kind == "circle":
        return Shape(label, place, _circle(points, place))
    return Shape(label, place, rectangle(points) if kind == "rectangle" else points)


def _flat(points: list[Any], place: str) -> Iterator[Any]:
    for point in points:
        if not isinstance(point, list) or len(point) != 2:
            raise DataError(f"{place}: a point is {str(point)[:40]}; expected [x, y]")
        yield from point


def _circle(points: Points, place: str) -> Points:
    if len(points) != 2:
        raise DataError(f"{place}: a circle of {len(points)} points; expected its centre and one on its edge")
    radius = float(np.hypot(*np.clip(points[1] - points[0], -1e9, 1e9)))
    angles = np.linspace(0, 2 * np.pi, CIRCLE_CORNERS, endpoint=False)
    return np.asarray(points[0] + radius * np.column_stack([np.cos(angles), np.sin(angles)]), np.float64)


def _region(text: str, place: str) -> NDArray[np.bool_]:
    """Return the mask in a PNG in base64, whose upper left corner is the shape's first point."""
    try:
        with PillowImage.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=("PNG",)) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise DataError(
                    f"{place}: a mask of {opened.width}x{opened.height}; expected at most {MAX_PIXELS} pixels"
                )
            return np.array(opened.convert("L")) > 0
    except DataError:
        raise
    except (binascii.Error, Exception) as error:  # Pillow's readers raise many kinds
        raise DataError(f"{place}: 'mask' is no image; expected a PNG in base64: save the file again") from error


class LabelMeSample(DrawnSample):
    """A picture and its JSON file."""

    def __init__(
        self, path: Path, image: PictureFile, classes: ClassMap, rule: DrawRule, document: dict[str, Any] | None = None
    ) -> None:
        super().__init__(str(path), image, classes, rule)
        self.path = path
        self._document = document

    def _annotation(self) -> Annotation:
        return read_labelme(self.path) if self._document is None else _annotation(self._document, self.path)


class EmbeddedSample(EncodedSample):
    """A JSON file that holds its picture; it is read when it is asked for, once for picture and labels."""

    def __init__(self, path: Path, classes: ClassMap, rule: DrawRule) -> None:
        super().__init__(str(path), classes)
        self.path = path
        self.rule = rule

    def _opened(self) -> LabelMeSample:
        document, place = _document(self.path), f"{self.path}: imageData"
        text = field(document, "imageData", str, str(self.path))
        try:
            picture = Encoded(base64.b64decode("".join(text.split()), validate=True), place)
        except (binascii.Error, ValueError) as error:
            raise DataError(f"{place}: {error}; expected a picture in base64: save the file again") from error
        return LabelMeSample(self.path, picture, self.classes, self.rule, document)


class LabelMe(ListedDataset):
    """The classes are the labels in the files: the founding label set first, then the others by name."""

    OPTIONS: ClassVar = {**DRAWN_OPTIONS, **SPLIT_OPTIONS}

    def __init__(
        self,
        argument: str,
        *,
        names: str = "",
        unlabelled: str = "ignore",
        images: str = "",
        sizes: str = "check",
        **split: str,
    ) -> None:
        self.root = data_folder(argument, "a folder of LabelMe JSON files and pictures")
        paths = files_in(self.root, ".json")
        if not paths:
            raise DataError(f"{self.root}: no JSON file; expected LabelMe's *.json beside the pictures")
        try:
            self.classes, background = drawn_classes(_names(paths), names, unlabelled)
        except NoClassError as error:
            raise DataError(f"{self.root}: {why_no_class(paths, read_labelme, _without_area)}") from error
        except DataError as error:
            raise DataError(f"{self.root}: {error}") from error
        self._rule = DrawRule(background, sizes)
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
                return EmbeddedSample(path, self.classes, self._rule)
            if image is None:
                raise DataError(
                    f"{path}: no image of this name beside it or in {folders[-1]}, and none in it (imageData); say "
                    f"images=FOLDER"
                )
        except DataError as error:
            return BrokenSample(str(path), self.classes, error)
        return LabelMeSample(path, image, self.classes, self._rule)


def _names(paths: Sequence[Path]) -> Iterator[str]:
    """Yield the class names of all files; one that cannot be read says so when its sample is read."""
    for path in paths:
        try:
            yield from (shape.label or "" for shape in read_labelme(path).shapes)
        except DataError:
            continue


def _without_area(path: Path) -> list[str]:
    """Return the kinds of the shapes of a file that were left out: all of them, where it names no class."""
    return [str(each.get("shape_type")) for each in _document(path)["shapes"]]
