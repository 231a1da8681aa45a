"""`voc-xml:PATH`: PASCAL VOC XML with polygons or rectangles, drawn into masks in file order.

Layout: `Annotations/*.xml` (or the XML files in PATH itself) with pictures in `JPEGImages/`, `images/`, beside the XML,
or in the folder that the option `images` names. `ImageSets/Segmentation/train.txt`, `val.txt` and `test.txt` are the
splits if they are there, or folders `train/`, `val/` and `test/`; otherwise whole drives are chosen
(`edgeseg.data.splits`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from edgeseg.core.errors import DataError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.data.base import BrokenSample, Sample
from edgeseg.data.reading.causes import Survey
from edgeseg.data.reading.drawn import (
    DRAWN_OPTIONS,
    DrawnSample,
    DrawRule,
    drawn_classes,
    errors_name,
    reject_duplicate_images,
)
from edgeseg.data.reading.image_sets import read_image_sets
from edgeseg.data.reading.listing import data_folder, files_in
from edgeseg.data.reading.lookup import find_image
from edgeseg.data.reading.pictures import read_bytes
from edgeseg.data.reading.polygons import BOX
from edgeseg.data.reading.shapes import Annotation, Shape
from edgeseg.data.reading.voc_annotation import VocAnnotation, parse_voc
from edgeseg.data.remarks import Remark
from edgeseg.data.splits import SPLIT_OPTIONS, ListedDataset, SplitRule

BEYOND = Remark(
    "<bndbox> reaching the picture's width or height, beyond its last pixel: say first_pixel=1 if pixels are counted "
    "from 1, as in PASCAL VOC's own files"
)


def read_voc(path: Path, first_pixel: int = 0) -> VocAnnotation:
    """Read an annotation file. Raises DataError."""
    return parse_voc(read_bytes(path), str(path), first_pixel)


def _first_pixel(text: str) -> int:
    if text not in ("0", "1"):
        raise UsageError(f"option first_pixel={text}; expected 0 or 1")
    return int(text)


class VocXmlSample(DrawnSample):
    """A picture and its XML file."""

    def __init__(self, path: Path, image: Path, classes: ClassMap, rule: DrawRule, first_pixel: int = 0) -> None:
        super().__init__(str(path), image, classes, rule)
        self.path = path
        self.first_pixel = first_pixel

    def _annotation(self) -> Annotation:
        return read_voc(self.path, self.first_pixel).annotation

    def _examine(self, shapes: Sequence[Shape], size: Size) -> None:
        """Boxes that reach beyond the last pixel, counted from 0: PASCAL VOC's own count from 1."""
        boxes = [shape.points for shape in shapes if shape.points is not None and shape.kind == BOX]
        beyond = sum(bool((points.max(axis=0) >= (size.width, size.height)).any()) for points in boxes)
        if beyond:
            self.tell(BEYOND, beyond)


class VocXml(ListedDataset):
    """The classes are the names in the files: the founding label set first, then the others by name."""

    OPTIONS: ClassVar = {
        **DRAWN_OPTIONS,
        "first_pixel": "the number of a picture's first pixel in <bndbox>: 0, or 1 as in PASCAL VOC's own (0)",
        **SPLIT_OPTIONS,
    }

    def __init__(
        self,
        argument: str,
        *,
        names: str = "",
        unlabelled: str = "ignore",
        images: str = "",
        sizes: str = "check",
        edges: str = "inclusive",
        leave_out: str = "",
        first_pixel: str = "0",
        **split: str,
    ) -> None:
        self.root = data_folder(argument, "a folder with Annotations/*.xml and JPEGImages/ in it")
        annotations = self.root / "Annotations" if (self.root / "Annotations").is_dir() else self.root
        paths = files_in(annotations, ".xml")
        if not paths:
            raise DataError(f"{annotations}: no XML file; expected PASCAL VOC annotations *.xml")
        survey = Survey(paths, lambda path: read_voc(path).annotation)
        with errors_name(annotations, survey.why_no_class):
            self.classes, background = drawn_classes(survey.names(), names, unlabelled)
        self._rule = DrawRule(background, sizes, edges, leave_out=leave_out)
        for path, left_out in survey.left_out.items():
            self._rule.tell_left_out(left_out, self.remarks.of(str(path)))
        self.edges = self._rule.fill
        self._first_pixel = _first_pixel(first_pixel)
        self._images = self.root / images if images else None
        keys = [path.relative_to(annotations).with_suffix("").as_posix() for path in paths]
        found = reject_duplicate_images(self._sample(path, key) for path, key in zip(paths, keys, strict=True))
        samples = dict(zip(keys, found, strict=True))
        sets = read_image_sets(self.root, samples, self.classes)
        if sets:
            self._list(sets)
        else:
            self._divide(list(samples.values()), list(samples), SplitRule.parse(split))

    def _sample(self, path: Path, key: str) -> Sample:
        folders = [
            path.parent,
            *(up / name for up in (path.parent.parent, self.root) for name in ("JPEGImages", "images")),
        ]
        if self._images:
            folders = [self._images]
        try:
            # The XML's own name first: it needs no reading of the file, and exporters write odd names inside.
            image = find_image(self.root, folders, _hints(path), [key, path.stem])
        except DataError as error:
            return BrokenSample(str(path), self.classes, error)
        if image is None:
            places = ", ".join(str(folder) for folder in dict.fromkeys(folders))
            problem = DataError(f"{path}: no image of this name; looked in {places}: add it, or say images=FOLDER")
            return BrokenSample(str(path), self.classes, problem)
        return VocXmlSample(path, image, self.classes, self._rule, self._first_pixel)


def _hints(path: Path) -> Iterator[str]:
    yield from read_voc(path).paths
