"""A path to a `dataset.toml`: a data set of one's own, declared in one file.

name = "my roads"
image_size = "1280x720"           # optional: every picture must have it
images = "frames/*/*.png"         # pattern of the pictures, within the file's folder
labels = "masks/{path}.png"       # {path}: the picture's path below the pattern's fixed part, without suffix;
                                  # {name}: its file name without suffix; {folder}: the folder it lies in;
                                  # {parent}: the folder above that
encoding = "ids"                  # or "colours"
ignore = [255]                    # ids, or colours as [0, 0, 0], that mean: not labelled

[[classes]]
name = "Road"
id = 7                            # in the mask files; without it, the place in this list
colour = [128, 64, 128]

[splits]                          # lists of names, or patterns of pictures; without it, whole drives are chosen:
train = "lists/train.txt"         # a line is {path} of a picture, or its {name}
val = "frames/monday/*.png"

[choose]                          # instead of [splits]: the options of edgeseg.data.splits
val = 0.2
seed = 0
group = "^(.*)_"
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from edgeseg.core.errors import DataError, EdgesegError, nearest
from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap, Colour
from edgeseg.core.toml import parse_toml
from edgeseg.data.base import BrokenSample, Image, Mask, Sample
from edgeseg.data.reading.colour_masks import ColourMask
from edgeseg.data.reading.image_sets import read_list
from edgeseg.data.reading.listing import pictures_in
from edgeseg.data.reading.masks import IdMask
from edgeseg.data.reading.pairs import FileSample, sample_of
from edgeseg.data.reading.pictures import MaskDecoder, read_picture, read_text
from edgeseg.data.splits import SPLIT_OPTIONS, ListedDataset, SplitRule

KEYS = ("name", "image_size", "images", "labels", "encoding", "ignore", "classes", "splits", "choose")
CLASS_KEYS = ("name", "id", "colour")
ENCODINGS = ("ids", "colours")
WILD = "*?["


class SizedSample(FileSample):
    """A pair whose picture must have the declared size."""

    def __init__(self, image: Path, mask: Path, classes: ClassMap, decode: MaskDecoder, size: Size) -> None:
        super().__init__(image, mask, classes, decode)
        self.size = size

    def _image(self) -> Image:
        self._check()
        return super()._image()

    def _class_map(self) -> Mask:
        self._check()
        return super()._class_map()

    def _check(self) -> None:
        size = read_picture(self.image).upright
        if size != self.size:
            raise DataError(f"{self.image}: the picture is {size}; expected {self.size}, the declared image_size")


class Declared(ListedDataset):
    """The data set that a `dataset.toml` declares. Raises DataError, naming the file and the key."""

    OPTIONS: ClassVar = SPLIT_OPTIONS

    def __init__(self, argument: str, **split: str) -> None:
        self.path = Path(os.path.expanduser(argument))
        self.root = self.path.parent
        document = parse_toml(read_text(self.path), str(self.path), "the declaration of a data set", DataError)
        _known(document, KEYS, str(self.path))
        self.name = self._text(document, "name", self.path.parent.name)
        try:
            self.classes, self._decode = _classes(document)
            size = self._text(document, "image_size", "")
            self._size = Size.parse(size) if size else None
        except EdgesegError as error:
            raise DataError(f"{self.path}: {error}") from error
        self._pattern = self._relative(self._text(document, "images"), "images")
        self._labels = self._relative(self._text(document, "labels"), "labels")
        pictures = self._pictures(self._pattern)
        masks = {key: self._mask(key, image) for key, image in pictures.items()}
        self._check_masks(masks)
        samples = {key: self._sample(image, masks[key]) for key, image in pictures.items()}
        if "splits" in document:
            self._list(
                {name: self._part(name, each, samples) for name, each in self._table(document, "splits").items()}
            )
        else:
            chosen = {key: str(value) for key, value in self._table(document, "choose").items()}
            _known(chosen, tuple(SPLIT_OPTIONS), f"{self.path}: [choose]")
            self._divide(list(samples.values()), list(samples), SplitRule.parse({**chosen, **split}))

    def _text(self, document: Mapping[str, Any], key: str, default: str | None = None) -> str:
        value = document.get(key, default)
        if not isinstance(value, str):
            found = "is missing" if value is None else f"= {value!r}"
            raise DataError(f'{self.path}: {key} {found}; expected a text: {key} = "..."')
        return value

    def _table(self, document: Mapping[str, Any], key: str) -> dict[str, Any]:
        value = document.get(key, {})
        if not isinstance(value, dict):
            raise DataError(f"{self.path}: {key} = {value!r}; expected a table [{key}]")
        return value

    def _relative(self, pattern: str, key: str) -> str:
        path = PurePosixPath(pattern)
        if not pattern or path.is_absolute() or ".." in path.parts:
            raise DataError(f"{self.path}: {key} = {pattern!r}; expected a path within the folder of this file")
        return pattern

    def _pictures(self, pattern: str) -> dict[str, Path]:
        """Return the pictures of a pattern by their path below the fixed part of `images`, without suffix."""
        fixed = self.root.joinpath(*_fixed(self._pattern))
        try:
            matched = set(self.root.glob(pattern))
        except (ValueError, NotImplementedError) as error:
            raise DataError(
                f"{self.path}: pattern {pattern!r} ({error}); expected one such as frames/*/*.png"
            ) from error
        found = [path for path in pictures_in(self.root) if path in matched]
        if not found:
            raise DataError(f"{self.path}: no picture matches {pattern!r} in {self.root}; correct the pattern")
        pictures: dict[str, Path] = {}
        for path in found:
            if path.is_relative_to(fixed):
                first = pictures.setdefault(path.relative_to(fixed).with_suffix("").as_posix(), path)
                if first != path:
                    raise DataError(
                        f"{self.path}: {pattern!r} matches {first} and {path.name}; expected one picture of a name: "
                        f"say its suffix in the pattern"
                    )
        return pictures

    def _mask(self, key: str, image: Path) -> Path:
        parts = {"path": key, "name": image.stem, "folder": image.parent.name, "parent": image.parent.parent.name}
        text = self._labels
        for part, value in parts.items():
            text = text.replace(f"{{{part}}}", value)
        if "{" in text:
            raise DataError(
                f"{self.path}: labels = {self._labels!r}; expected only {{path}}, {{name}}, {{folder}} and {{parent}}"
            )
        return self.root / text

    def _check_masks(self, masks: Mapping[str, Path]) -> None:
        """Two pictures with one mask are not the same scene: frames/monday/0001 and frames/friday/0001."""
        first: dict[Path, str] = {}
        for key, mask in masks.items():
            other = first.setdefault(mask, key)
            if other != key:
                raise DataError(
                    f"{self.path}: labels = {self._labels!r} gives {other} and {key} the same mask, {mask}; expected "
                    f"one for each: tell them apart by {{path}} or {{folder}}"
                )

    def _sample(self, image: Path, mask: Path) -> Sample:
        sample = sample_of(image, mask, self.classes, self._decode)
        if self._size and not isinstance(sample, BrokenSample):
            return SizedSample(image, mask, self.classes, self._decode, self._size)
        return sample

    def _part(self, split: str, text: Any, samples: Mapping[str, Sample]) -> list[Sample]:
        if not isinstance(text, str):
            raise DataError(f"{self.path}: [splits] {split} = {text!r}; expected a list file or a pattern of pictures")
        self._relative(text, f"[splits] {split}")
        if text.endswith(".txt"):
            return read_list(self.root / text, {**self._by_name(samples), **samples}, self.classes)
        return [samples[key] for key in self._pictures(text) if key in samples]

    def _by_name(self, samples: Mapping[str, Sample]) -> dict[str, Sample]:
        """Return the samples by the last part of their path; broken where that is not enough to tell them apart."""
        named: dict[str, Sample] = {}
        for key, sample in samples.items():
            name = PurePosixPath(key).name
            if name in named:
                problem = DataError(
                    f"{self.path}: the name {name!r} is that of several pictures; expected their {{path}} in the "
                    f"list, such as {key}"
                )
                named[name] = BrokenSample(sample.name, self.classes, problem)
            else:
                named[name] = sample
        return named


def _fixed(pattern: str) -> list[str]:
    """Return the folders of a pattern before its first wildcard."""
    fixed: list[str] = []
    for part in PurePosixPath(pattern).parts[:-1]:
        if any(sign in part for sign in WILD):
            break
        fixed.append(part)
    return fixed


def _known(found: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in found:
        if key not in known:
            raise DataError(f"{where}: unknown key {key!r}{nearest(key, known)}; expected {', '.join(known)}")


def _classes(document: Mapping[str, Any]) -> tuple[ClassMap, MaskDecoder]:
    tables = document.get("classes")
    if not isinstance(tables, list) or not tables or not all(isinstance(each, dict) for each in tables):
        raise DataError("no classes; expected a table [[classes]] with name, id and colour for each")
    ids, names, colours = [], [], []
    for number, table in enumerate(tables):
        where = f"class {number + 1}"
        _known(table, CLASS_KEYS, where)
        if not isinstance(table.get("name"), str) or not table["name"].strip():
            raise DataError(f'{where} has no name; expected name = "Road"')
        names.append(table["name"])
        ids.append(_id(table.get("id", number), f"{where} ({table['name']}): id"))
        colours.append(_colour(table.get("colour"), f"{where} ({table['name']}): colour"))
    classes = ClassMap(tuple(names), tuple(colours))
    repeated = next((each for each in ids if ids.count(each) > 1), None)
    if repeated is not None:
        raise DataError(f"class id {repeated} is given twice; each class needs an id of its own")
    return classes, _decoder(document, classes, ids)


def _decoder(document: Mapping[str, Any], classes: ClassMap, ids: list[int]) -> MaskDecoder:
    encoding, ignore = document.get("encoding", "ids"), document.get("ignore", [])
    if encoding not in ENCODINGS:
        raise DataError(
            f"encoding = {encoding!r}{nearest(str(encoding), ENCODINGS)}; expected {' or '.join(ENCODINGS)}"
        )
    if not isinstance(ignore, list):
        raise DataError(f"ignore = {ignore!r}; expected a list, such as [255] or [[0, 0, 0]]")
    if encoding == "colours":
        return ColourMask.of(classes, tuple(_colour(each, "ignore") for each in ignore))
    void = [_id(each, "ignore") for each in ignore]
    both = next((each for each in void if each in ids), None)
    if both is not None:
        raise DataError(f"ignore = {ignore}: {both} is the id of a class too; remove it from one of them")
    return IdMask((*zip(ids, range(len(ids)), strict=True), *((each, classes.ignore_index) for each in void)))


def _id(value: Any, what: str) -> int:
    if type(value) is not int or not 0 <= value <= 0xFFFF:
        raise DataError(f"{what} = {value!r}; expected a whole number from 0 to 65535")
    return value


def _colour(value: Any, what: str) -> Colour:
    if (
        not isinstance(value, list)
        or len(value) != 3
        or not all(type(each) is int and 0 <= each <= 255 for each in value)
    ):
        raise DataError(f"{what} = {value!r}; expected red, green and blue, as [128, 64, 128]")
    return value[0], value[1], value[2]
