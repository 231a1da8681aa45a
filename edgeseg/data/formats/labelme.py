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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from edgeseg.core.errors import DataError
from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.data.base import BrokenSample, EncodedSample, Sample
from edgeseg.data.labelme.annotation import BACKGROUND, IGNORE, annotation_of, read_document, read_labelme
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
from edgeseg.data.reading.json_fields import field
from edgeseg.data.reading.listing import data_folder, files_in
from edgeseg.data.reading.lookup import find_image
from edgeseg.data.reading.pictures import Encoded, PictureFile
from edgeseg.data.reading.polygons import PILLOW
from edgeseg.data.reading.shapes import Annotation, Shape
from edgeseg.data.remarks import LeftOut, Remark
from edgeseg.data.splits import SPLIT_OPTIONS, ListedDataset, SplitRule

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
        document = read_document(self.path) if self._document is None else self._document
        return annotation_of(document, self.path, self.line_width)

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
        document, place = read_document(self.path), f"{self.path}: imageData"
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
            document.update(read_document(path))
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
