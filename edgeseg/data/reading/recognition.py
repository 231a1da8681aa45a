"""Which format a folder or file of labels has, told by what is in it, for a path that is given without a format.

Looked for in this order; the first rank in which something is found counts, since what stands before says more:

1. `dataset.toml` in the folder; a pack, or TFRecord files
2. the folders of a public data set: Cityscapes, KITTI, CamVid, comma10k
3. annotation files by their content (XML with `<annotation>` or `<annotations>`, JSON with the keys of COCO or of
   LabelMe; without XML, ZIP archives with `<annotations>`), and `SegmentationClass/` with masks
4. two folders of pictures with a class list

Two findings in one rank are two data sets in one folder, or one in two forms: which is meant is for the user to say.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

from edgeseg.core.errors import DataError
from edgeseg.data.reading.json_fields import JSON_KINDS
from edgeseg.data.reading.layout import class_list_of, images_of, masks_of
from edgeseg.data.reading.listing import files_in

MOST_LOOKED_AT = 1000  # annotation files of a kind
HEAD_BYTES = 4096
RECORD_SUFFIXES = (".tfrecord", ".tfrecords", ".tfrec", ".record", ".records")
_CVAT = re.compile(rb"<annotations[\s>]")
_XML = (
    ("voc-xml", re.compile(rb"<annotation[\s>]"), "<annotation>"),
    ("cvat", _CVAT, "<annotations>"),
)
PUBLIC = (
    ("cityscapes", ("leftImg8bit", "gtFine")),
    ("kitti-road", ("training/image_2", "training/gt_image_2")),
    ("kitti-road", ("image_2", "gt_image_2")),
    ("kitti-semantic", ("training/image_2", "training/semantic")),
    ("kitti-semantic", ("image_2", "semantic")),
    ("camvid", ("train", "trainannot")),
)
COMMA10K = ("imgs", "masks")
_COMMA10K = re.compile(r"_[0-9a-f]{16}_[0-9]{4}-[0-9]{2}-[0-9]{2}--")
"""In the names of its pictures: folders of these names are others' too."""


class Finding(NamedTuple):
    """A format that a path may have, and what was found of it, such as `11 XML files with <annotation>`."""

    format: str
    evidence: str


def recognised(path: Path) -> list[Finding]:
    """Return the formats that a path seems to have, by the first rank in which there is any; none if there is not."""
    ranks: Sequence[Callable[[Path], Iterator[Finding]]] = (_own, _public, _annotations, _folders)
    return next((found for found in (list(rank(path)) for rank in ranks) if found), [])


def _own(path: Path) -> Iterator[Finding]:
    if (path / "dataset.toml").is_file():
        yield Finding("dataset.toml", "a dataset.toml")
    names = [path.name] if path.is_file() else [each.name for each in path.iterdir()]
    records = [name for name in names if name.lower().endswith(RECORD_SUFFIXES)]
    if records:
        yield Finding("tfrecord", f"{_files(len(records), 'TFRecord')}, as {min(records)}")


def _public(path: Path) -> Iterator[Finding]:
    for name, folders in PUBLIC:
        if all((path / folder).is_dir() for folder in folders):
            yield Finding(name, " and ".join(f"{folder}/" for folder in folders))
    if all((path / folder).is_dir() for folder in COMMA10K) and any(map(_COMMA10K.search, os.listdir(path / "imgs"))):
        yield Finding("comma10k", "imgs/ and masks/ with its names of drives")


def _annotations(path: Path) -> Iterator[Finding]:
    xml, documents, archives = (
        [path] if path.suffix.lower() == end else files_in(path, end) for end in (".xml", ".json", ".zip")
    )
    for name, pattern, shown in _XML:
        count = sum(bool(pattern.search(_head(each))) for each in xml[:MOST_LOOKED_AT])
        if count:
            yield Finding(name, f"{_files(count, 'XML')} with {shown}{_more(xml)}")
    count = sum(map(_holds_cvat, archives[:MOST_LOOKED_AT])) if not xml else 0
    if count:
        yield Finding("cvat", f"{_files(count, 'ZIP')} with <annotations>{_more(archives)}")
    contents = [_keys(each) for each in documents[:MOST_LOOKED_AT]]
    for name, keys in JSON_KINDS.values():
        count = sum(found >= set(keys) for found in contents)
        if count:
            yield Finding(name, f"{_files(count, 'JSON')} with {', '.join(keys)}{_more(documents)}")
    masks = files_in(path / "SegmentationClass", ".png") if path.is_dir() else []
    if masks:
        yield Finding("voc-masks", f"SegmentationClass/ with {_files(len(masks), 'PNG')}")


def _folders(path: Path) -> Iterator[Finding]:
    if not path.is_dir():
        return
    try:
        listed, images, masks = class_list_of(path), images_of(path), masks_of(path)
    except DataError:
        return
    yield Finding("folder", f"{images.name}/, {masks.name}/ and {listed.name}")


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


def _holds_cvat(archive: Path) -> bool:
    """Return whether there is CVAT's XML in an archive, of which no more than its first bytes is unpacked."""
    try:
        with ZipFile(archive) as opened:
            for name in opened.namelist():
                if name.lower().endswith(".xml"):
                    with opened.open(name) as member:
                        if _CVAT.search(member.read(HEAD_BYTES)):
                            return True
    except Exception:  # zipfile raises many kinds for what is broken or encrypted
        return False
    return False


def _keys(path: Path) -> set[str]:
    """Return which of the keys that tell a kind stand in a JSON file, without parsing it: they may stand at its end."""
    try:
        content = path.read_bytes()
    except OSError:
        return set()
    return {key for _, keys in JSON_KINDS.values() for key in keys if f'"{key}"'.encode() in content}


def _files(count: int, kind: str) -> str:
    return f"{count} {kind} file{'' if count == 1 else 's'}"


def _more(files: Sequence[Path]) -> str:
    return f" among the first {MOST_LOOKED_AT} of {len(files)}" if len(files) > MOST_LOOKED_AT else ""
