"""`coco:PATH`: COCO JSON (Lin et al. 2014) with polygons and both forms of RLE, drawn into masks in file order.

PATH is one JSON file, or a folder with `annotations/*.json` or `*/_annotations.coco.json` (Roboflow). Pictures lie
beside the JSON, in `images/`, in a folder of the JSON's split (`train2017/`), or in that of the option `images`. JSON
files whose names tell a split (`instances_val2017.json`) are the splits; otherwise whole drives are chosen
(`edgeseg.data.splits`).

The classes are the categories in the order of the file. `iscrowd` is ignored where nothing else is labelled, unless the
option `crowd` says otherwise.
Polygons have pixel edges and are filled to the bit as by COCO's own tools (`edgeseg.data.reading.pixel_edges`), all
those of an annotation: a hole needs run lengths. An annotation without a segmentation is drawn as its box.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from edgeseg.core.errors import DataError, UsageError, nearest
from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.data.base import BrokenSample, Sample
from edgeseg.data.reading.drawn import (
    DRAWN_OPTIONS,
    DrawnSample,
    DrawRule,
    drawn_classes,
    errors_name,
    reject_duplicate_images,
)
from edgeseg.data.reading.json_fields import field, key, read_json, whole
from edgeseg.data.reading.lookup import find_image
from edgeseg.data.reading.polygons import BOX
from edgeseg.data.reading.rle import mask_from_rle
from edgeseg.data.reading.shapes import Annotation, Omissions, Shape, points_from
from edgeseg.data.remarks import LeftOut
from edgeseg.data.splits import FOLDER_SPLITS, SPLIT_OPTIONS, ListedDataset, SplitRule

CROWDS = ("ignore", "class")
CROWD = LeftOut(
    "they are ignored where nothing else is labelled", what="crowds (iscrowd)", kind="crowd", option="crowd=class"
)
EXPECTED = "COCO JSON with images, annotations and categories"


class CocoFile:
    """One JSON file: its categories, and the annotations of each picture."""

    def __init__(self, path: Path) -> None:
        self.path = path
        document = read_json(path, EXPECTED)
        self.images = field(document, "images", list, str(path))
        self.categories: dict[int | str, str] = {}
        for number, each in enumerate(field(document, "categories", list, str(path)), 1):
            where = f"{path}: category {number}"
            own, name = key(each, "id", where), " ".join(field(each, "name", str, where).split())
            if self.categories.setdefault(own, name) != name:
                raise DataError(
                    f"{where}: id {own} is that of {self.categories[own]!r} and of {name!r}; expected an id for each"
                )
        self.ids = Counter(own for own in map(_id_of, self.images) if own is not None)
        self.annotations: dict[int | str, list[tuple[int, Any]]] = {}
        for number, each in enumerate(field(document, "annotations", list, str(path)), 1):
            image = key(each, "image_id", f"{path}: annotation {number}")
            self.annotations.setdefault(image, []).append((number, each))

    @property
    def strays(self) -> list[tuple[int, int | str]]:
        """The annotations of no picture: number and image id."""
        listed = [(entries[0][0], image) for image, entries in self.annotations.items() if image not in self.ids]
        return sorted(listed, key=lambda each: each[0])


def _id_of(entry: Any) -> int | str | None:
    try:
        return key(entry, "id", "")
    except DataError:
        return None  # said when the picture is listed


class CocoSample(DrawnSample):
    """A picture and its annotations."""

    def __init__(self, image: Path, entry: Any, file: CocoFile, classes: ClassMap, rule: DrawRule, crowd: bool) -> None:
        super().__init__(str(image), image, classes, rule)
        self.labelled_in = f"{file.path}: {image.name}"
        self.crowd = crowd
        self.size = _size([entry.get("height"), entry.get("width")], 1 << 20)
        self.categories = file.categories
        self.annotations = [
            (f"{file.path}: annotation {number}", each)
            for number, each in file.annotations.get(key(entry, "id", ""), [])
        ]

    def left_out(self) -> Omissions:
        """Return how many crowds are ignored, by class. Raises DataError."""
        crowds = [pair for pair in self.annotations if pair[1].get("iscrowd") and not self.crowd]
        return Counter((CROWD, self._category(each, place)) for place, each in crowds)

    def _annotation(self) -> Annotation:
        shapes = [shape for place, each in self.annotations for shape in self._shapes(each, place)]
        # A crowd says that there are more of them, not that what is labelled one by one is none: it lies beneath.
        return Annotation(self.size, sorted(shapes, key=lambda shape: shape.label is not None), True, self.left_out())

    def _category(self, entry: Any, place: str) -> str:
        category = key(entry, "category_id", place)
        if category not in self.categories:
            raise DataError(f"{place}: category {category} is not declared; expected one of the file's categories")
        return self.categories[category]

    def _shapes(self, entry: Any, place: str) -> list[Shape]:
        category = self._category(entry, place)
        label = None if entry.get("iscrowd") and not self.crowd else category
        place = f"{place} ({category})"
        segmentation = entry.get("segmentation")
        if isinstance(segmentation, dict):
            return [Shape(label, place, region=_region(segmentation, place), whole=True)]
        parts = _parts(segmentation)
        if parts:
            return [Shape(label, place, points_from(_numbers(part, place), place)) for part in parts]
        left, top, width, height = points_from(_box(entry, place), place).ravel()
        last = 1 if self.rule.edges == "inclusive" else 0  # a box is as wide as it says, whatever its coordinates are
        corners = points_from((left, top, left + width - last, top + height - last), place)
        return [Shape(label, place, corners, kind=BOX)]


def _parts(segmentation: Any) -> list[Any]:
    """Return the polygons; [[]] has none. A flat list of numbers is one: some exporters leave out the outer list."""
    if not isinstance(segmentation, list) or not segmentation:
        return []
    return [part for part in segmentation if part != []] if isinstance(segmentation[0], list) else [segmentation]


def _size(sides: list[Any], limit: int) -> Size | None:
    height, width = (whole(side) or 0 for side in sides)
    return Size(height, width) if 0 < height < limit and 0 < width < limit else None


def _numbers(part: Any, place: str) -> list[Any]:
    if not isinstance(part, list):
        raise DataError(f"{place}: a polygon is a {type(part).__name__}; expected a list x, y, x, y ...")
    return part


def _box(entry: Any, place: str) -> list[Any]:
    box = field(entry, "bbox", list, f"{place}: no segmentation, and")
    if len(box) != 4:
        raise DataError(f"{place}: a bbox of {len(box)} numbers; expected x, y, width, height")
    return box


def _region(rle: Any, place: str) -> Any:
    sides = field(rle, "size", list, place)
    size = _size(sides, 1 << 15) if len(sides) == 2 else None
    if size is None:
        raise DataError(f"{place}: RLE size {sides}; expected height and width")
    return mask_from_rle(rle.get("counts"), size, place)


class Coco(ListedDataset):
    """The annotations are held in memory, the pictures are not."""

    OPTIONS: ClassVar = {
        **DRAWN_OPTIONS,
        "crowd": "what an annotation with iscrowd is: ignore, or class as all others (ignore)",
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
        edges: str = "pixel",
        leave_out: str = "",
        crowd: str = "ignore",
        **split: str,
    ) -> None:
        if crowd not in CROWDS:
            raise UsageError(f"option crowd={crowd}{nearest(crowd, CROWDS)}; expected {' or '.join(CROWDS)}")
        self._crowd = crowd == "class"
        path = Path(os.path.expanduser(argument))
        self._images = images
        self.root = path if path.is_dir() else path.parent
        files = [CocoFile(each) for each in _json_files(path, argument)]
        found = [name for file in files for name in file.categories.values()]
        with errors_name(files[0].path):
            self.classes, background = drawn_classes(found, names, unlabelled, in_order=True)
        self._rule = DrawRule(background, sizes, edges, leave_out=leave_out)
        self.edges = self._rule.fill
        samples = [(_split_of(file.path, self.root), self._samples_of(file)) for file in files]
        if len(files) > 1 and all(name for name, _ in samples):
            listed: dict[str, list[Sample]] = {name: [] for name in ("train", "val", "test")}
            for name, part in samples:
                listed[name] += [sample for _, sample in part]
            self._list({name: reject_duplicate_images(part) for name, part in listed.items() if part})
            return
        joined = [pair for _, part in samples for pair in part]
        self._divide(
            reject_duplicate_images(sample for _, sample in joined),
            [name for name, _ in joined],
            SplitRule.parse(split),
        )

    def _samples_of(self, file: CocoFile) -> list[tuple[str, Sample]]:
        """Return the samples with what their pictures are called, without suffix."""
        samples: list[tuple[str, Sample]] = []
        for number, entry in enumerate(file.images, 1):
            where = f"{file.path}: image {number}"
            try:
                key(entry, "id", where)
                name = field(entry, "file_name", str, where)
                samples.append(
                    (name.replace("\\", "/").rpartition(".")[0] or where, self._sample(file, entry, name, where))
                )
            except DataError as error:
                samples.append((where, BrokenSample(where, self.classes, error)))
        if file.strays:
            (number, image), more = file.strays[0], len(file.strays) - 1
            where = f"{file.path}: annotation {number}"
            stray = DataError(
                f"{where}: image {image} is not listed (nor {more} more); add it or remove its annotations"
            )
            samples.append((samples[0][0] if samples else where, BrokenSample(where, self.classes, stray)))
        return samples

    def _sample(self, file: CocoFile, entry: Any, name: str, where: str) -> Sample:
        if file.ids[key(entry, "id", where)] > 1:
            raise DataError(f"{where}: id {entry['id']} is given to several images; expected an id for each")
        stem = re.sub(r"^(instances|annotations|person_keypoints)_", "", file.path.stem)
        bases = list(dict.fromkeys((file.path.parent, self.root, file.path.parent.parent)))
        folders = [folder for base in bases for folder in (base, base / "images", base / stem, base / "images" / stem)]
        if self._images:
            folders = [self.root / self._images]
        image = find_image(self.root, folders, [name])
        if image is None:
            raise DataError(f"{where}: no image {name!r} in {folders[0]} and the usual places; say images=FOLDER")
        sample = CocoSample(image, entry, file, self.classes, self._rule, self._crowd)
        with suppress(DataError):  # said when it is read
            self._rule.tell_left_out(sample.left_out(), self.remarks.of(sample.name))
        return sample


def _json_files(path: Path, argument: str) -> Sequence[Path]:
    """Return the files, those of train first, so that its order of the categories is that of the classes."""
    if path.is_file():
        return [path]
    listed = {*path.glob("annotations/*"), *path.glob("*/_annotations.coco.*"), *path.glob("*")}
    found = sorted(each for each in listed if each.suffix.lower() == ".json")
    # COCO's own folder has captions and keypoints of the same pictures beside them.
    found = [each for each in found if each.name.startswith("instances_")] or found
    if not found:
        raise DataError(
            f"{argument or 'no path'}: no JSON file; expected {EXPECTED}, or annotations/*.json in a folder"
        )
    return sorted(found, key=lambda each: _split_of(each, path) != "train")


def _split_of(path: Path, root: Path) -> str:
    """Return the split that a file's name, or its folder's, tells, or an empty text."""
    for name in (path.stem, path.parent.name if path.parent != root else ""):
        match = re.search(r"(?<![a-z])(train|validation|valid|val|test)(?![a-z])", name.lower())
        if match:
            return FOLDER_SPLITS[match[1]]
    return ""
