"""What stands beside the shards of a packed data set: `dataset.json`, written last, and `index.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from edgeseg.core.errors import DataError, UsageError
from edgeseg.core.geometry import Crop
from edgeseg.core.labels import ClassMap
from edgeseg.data.reading.json_fields import field, read_json
from edgeseg.data.remarks import Remark

SPEC_FILE = "dataset.json"
INDEX_FILE = "index.json"
FORMAT = "edgeseg-pack"
VERSION = 1
WHAT = "what edgeseg data pack wrote"


class Record(NamedTuple):
    """Where a sample's record begins in its shard, in bytes, and the sample's name."""

    offset: int
    name: str


class Shard(NamedTuple):
    """A file of records, and its size."""

    file: str
    bytes: int
    records: tuple[Record, ...]


@dataclass(frozen=True)
class PackSpec:
    """A packed data set.

    Attributes:
        classes: what the masks' ids stand for.
        splits: the shards of each split, in the order of the samples.
        made: how it was packed (size, fit, crop, encoding, quality, edges, source, edgeseg's version), for people; and
            what was said of the data then (warnings, notes).
    """

    classes: ClassMap
    splits: Mapping[str, tuple[Shard, ...]]
    made: Mapping[str, Any]

    @property
    def samples(self) -> int:
        return sum(len(shard.records) for shards in self.splits.values() for shard in shards)

    @property
    def crop(self) -> Crop | None:
        """The part of the pictures that was packed; None for the whole, and for what is no crop."""
        shares = self.made.get("crop")
        try:
            return Crop(*shares) if isinstance(shares, list) else None
        except (TypeError, UsageError):
            return None

    @property
    def edges(self) -> str | None:
        """The rule that polygons were filled by; None where none were drawn, and in packs of an earlier edgeseg."""
        edges = self.made.get("edges")
        return edges if isinstance(edges, str) else None

    @property
    def remarks(self) -> list[Remark]:
        """What was said when it was packed: the masks do not show any more what was left out of them."""
        said = [(line, key == "warnings") for key in ("warnings", "notes") for line in self.made.get(key) or []]
        return [Remark(f"when it was packed: {line}", is_warning) for line, is_warning in said]

    @property
    def files(self) -> set[str]:
        """All that the pack's folder holds."""
        return {SPEC_FILE, INDEX_FILE, *(shard.file for shards in self.splits.values() for shard in shards)}

    def write(self, folder: Path) -> None:
        """Write both files into the folder, the spec last."""
        index = {
            shard.file: {
                "offsets": [each.offset for each in shard.records],
                "names": [each[1] for each in shard.records],
            }
            for shards in self.splits.values()
            for shard in shards
        }
        (folder / INDEX_FILE).write_text(json.dumps(index, separators=(",", ":")) + "\n")
        (folder / SPEC_FILE).write_text(json.dumps(self._document(), indent=1) + "\n")

    def _document(self) -> dict[str, Any]:
        colours = zip(self.classes.names, self.classes.colours, strict=True)
        return {
            "format": FORMAT,
            "version": VERSION,
            **self.made,
            "classes": [{"id": i, "name": name, "colour": list(colour)} for i, (name, colour) in enumerate(colours)],
            "ignore_index": self.classes.ignore_index,
            "splits": {name: _split_document(shards) for name, shards in self.splits.items()},
        }


def _split_document(shards: tuple[Shard, ...]) -> dict[str, Any]:
    listed = [{"file": shard.file, "samples": len(shard.records), "bytes": shard.bytes} for shard in shards]
    return {"samples": sum(len(shard.records) for shard in shards), "shards": listed}


def is_pack(folder: Path) -> bool:
    """Return whether a folder holds a finished pack, whole or damaged, without reading more than its spec."""
    path = folder / SPEC_FILE
    try:
        return path.is_file() and read_json(path, WHAT).get("format") == FORMAT
    except DataError:
        return True  # whoever reads it says what is wrong with it


def read_pack_spec(folder: Path) -> PackSpec:
    """Read spec and index. Raises DataError, naming the file and the key."""
    path = folder / SPEC_FILE
    document, where = read_json(path, WHAT), str(path)
    if document.get("format") != FORMAT or document.get("version") != VERSION:
        found = f"format {document.get('format')!r}, version {document.get('version')!r}"
        raise DataError(f"{path}: {found}; expected {FORMAT!r}, version {VERSION}: pack it with this edgeseg")
    index = read_json(folder / INDEX_FILE, "the index of a pack")
    splits = {}
    for name, split in field(document, "splits", dict, where).items():
        listed = field(split, "shards", list, f"{where}: split {name!r}")
        splits[name] = tuple(_shard(each, index, folder) for each in listed)
    try:
        classes = _classes(document, where)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    made = {
        key: document.get(key) for key in ("size", "fit", "crop", "encoding", "quality", "edges", "source", "edgeseg")
    }
    for key in ("warnings", "notes"):
        lines = document.get(key, [])
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise DataError(f"{path}: {key} is no list of lines; expected what edgeseg data pack wrote: pack it again")
        made[key] = lines
    return PackSpec(classes, splits, made)


def _classes(document: Mapping[str, Any], where: str) -> ClassMap:
    entries = field(document, "classes", list, where)
    colours = [field(each, "colour", list, f"{where}: class {number}") for number, each in enumerate(entries)]
    if not all(len(each) == 3 and all(type(channel) is int for channel in each) for each in colours):
        raise DataError("a class colour is no RGB; expected three numbers from 0 to 255")
    return ClassMap(
        tuple(field(each, "name", str, f"{where}: class {number}") for number, each in enumerate(entries)),
        tuple((red, green, blue) for red, green, blue in colours),
        field(document, "ignore_index", int, where),
    )


def _shard(entry: Any, index: Mapping[str, Any], folder: Path) -> Shard:
    where = f"{folder / SPEC_FILE}: shard"
    file, samples, size = field(entry, "file", str, where), field(entry, "samples", int, where), entry.get("bytes")
    if Path(file).name != file or type(size) is not int:
        raise DataError(f"{where} {file!r}, {size!r} bytes; expected a file name and its size: pack it again")
    listed, where = field(index, file, dict, str(folder / INDEX_FILE)), f"{folder / INDEX_FILE}: {file}"
    offsets, names = field(listed, "offsets", list, where), field(listed, "names", list, where)
    good = all(type(each) is int and each >= 0 for each in offsets) and all(type(each) is str for each in names)
    if not (good and len(offsets) == len(names) == samples):
        raise DataError(f"{where}: expected {samples} offsets and names, as {SPEC_FILE} says: pack it again")
    return Shard(file, size, tuple(map(Record, offsets, names)))
