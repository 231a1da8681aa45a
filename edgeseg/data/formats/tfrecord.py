"""`tfrecord:PATH`: what `edgeseg data pack` wrote, or other TFRecords of pictures and masks as encoded files.

Layout: a folder with `dataset.json`, `index.json` and shards `train-00000-of-00007.tfrecord` (or some of these shards);
or a folder, a file or a pattern of records whose keys `image` and `mask` hold whole PNG or JPEG files, with their class
list in `classes.txt` or in an option. There, files or folders named train, val or test are the splits; otherwise
whole files are chosen (`edgeseg.data.splits`).
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from edgeseg.core.errors import DataError, UsageError
from edgeseg.data.base import BrokenSample, Sample
from edgeseg.data.class_lists.encoding import VALUES_OPTION, check_encoding, mask_decoder, parse_values
from edgeseg.data.class_lists.palette import Palette, read_palette
from edgeseg.data.reading.colour_masks import TOLERANCE_OPTION, parse_tolerance
from edgeseg.data.reading.drawn import drawn_classes
from edgeseg.data.reading.listing import files_in
from edgeseg.data.reading.pictures import Encoded
from edgeseg.data.splits import FOLDER_SPLITS, SPLIT_OPTIONS, ListedDataset, SplitRule
from edgeseg.data.tfrecord.example import Example
from edgeseg.data.tfrecord.file import read_record, record_offsets
from edgeseg.data.tfrecord.sample import EncodedFiles, Packed, RecordSample
from edgeseg.data.tfrecord.spec import Shard, is_pack, read_pack_spec

SUFFIXES = (".tfrecord", ".tfrecords", ".tfrec", ".record", ".records")
EXPECTED = "a folder, a file or a pattern of TFRecords"
SPLIT_WORD = re.compile(r"([A-Za-z]+)(?![A-Za-z])")
OTHERS = {
    "palette": "the class list (classes.txt beside the records)",
    "names": "instead of it, the classes in the order of their ids, joined by commas",
    "encoding": "ids or colours (as the first mask is)",
    "image": "the key of the pictures (image)",
    "mask": "the key of the masks (mask)",
    **VALUES_OPTION,
    **TOLERANCE_OPTION,
}


class TFRecords(ListedDataset):
    """The options are for records of others; a pack of edgeseg's has its classes and splits in its spec."""

    OPTIONS: ClassVar = {**OTHERS, **SPLIT_OPTIONS}

    def __init__(self, argument: str, **options: str) -> None:
        files = record_files(argument)
        root = _root(argument, files)
        if is_pack(root):
            if options:
                raise UsageError(f"option {next(iter(options))} with {root}, whose spec has it all; leave it out")
            whole = os.path.isdir(os.path.expanduser(argument))
            self._list_pack(root, None if whole else {path.name for path in files})
        else:
            self._list_others(root, files, **options)

    def _list_pack(self, root: Path, chosen: set[str] | None) -> None:
        spec = read_pack_spec(root)
        self.classes, self.crop, self.edges = spec.classes, spec.crop, spec.edges
        for remark in spec.remarks:
            self.remarks.of(str(root))(remark)
        splits = {}
        for split, shards in spec.splits.items():
            wanted = [shard for shard in shards if chosen is None or shard.file in chosen]
            if wanted or chosen is None:
                splits[split] = [sample for shard in wanted for sample in self._shard(root, shard)]
        if not splits:
            raise DataError(f"{root}: none of its shards is {EXPECTED}; name some of {', '.join(sorted(spec.files))}")
        self._list(splits)

    def _shard(self, root: Path, shard: Shard) -> list[Sample]:
        path = root / shard.file
        if not path.is_file():
            lost = DataError(f"{path}: no such file; expected a shard of {len(shard.records)} samples: copy it too")
            return [BrokenSample(f"{path}@{offset}/{name}", self.classes, lost) for offset, name in shard.records]
        return [RecordSample(path, *each, self.classes, Packed(), named=True) for each in shard.records]

    def _list_others(
        self,
        root: Path,
        files: Sequence[Path],
        *,
        palette: str = "",
        names: str = "",
        encoding: str = "",
        image: str = "image",
        mask: str = "mask",
        values: str = "",
        tolerance: str = "",
        **split: str,
    ) -> None:
        check_encoding(encoding)
        near, named = parse_tolerance(tolerance), parse_values(values)
        rule = SplitRule.parse(split)
        listed, where = _class_list(root, palette, names)
        self.classes = listed.classes
        offsets, broken = _scan(files)
        decode = mask_decoder(listed, where, encoding, _masks(offsets, mask), near, named)
        layout = EncodedFiles(image, mask, decode)
        samples: list[Sample] = []
        keys: list[str] = []
        for path in files:
            key = _key(path.relative_to(root))
            for number, offset in enumerate(offsets[path]):
                name = f"{number:06}"
                samples.append(RecordSample(path, offset, name, self.classes, layout, named=False))
                keys.append(f"{key}/{name}")
            if path in broken:
                samples.append(BrokenSample(str(path), self.classes, broken[path]))
                keys.append(f"{key}/{len(offsets[path]):06}")
        if not samples:
            raise DataError(f"{root}: no record in {len(files)} file(s); expected TFRecords: write them again")
        self._divide(samples, keys, rule)


def record_files(argument: str) -> list[Path]:
    """Return the TFRecord files that a path or a pattern names, in order. Raises DataError if there is none."""
    path = Path(os.path.expanduser(argument))
    if path.is_dir():
        files = files_in(path, *SUFFIXES)
    elif path.is_file():
        return [path]
    else:
        files = [Path(each) for each in glob.glob(str(path), recursive=True) if Path(each).is_file()]
    files = sorted(each for each in files if not each.name.startswith("."))
    if not argument or (not files and not (path.is_dir() and is_pack(path))):
        what = f"with one of {', '.join(SUFFIXES)}" if path.is_dir() else "of this name"
        raise DataError(f"{argument or 'no path'}: no file {what}; expected {EXPECTED}")
    return files


def _root(argument: str, files: Sequence[Path]) -> Path:
    path = Path(os.path.expanduser(argument))
    if path.is_dir():
        return path
    parents = [file.parent for file in files]
    shared = parents[0]
    while not all(parent.is_relative_to(shared) for parent in parents):
        shared = shared.parent
    return shared


def _class_list(root: Path, palette: str, names: str) -> tuple[Palette, Path]:
    if names and palette:
        raise UsageError("options names and palette; expected one of them")
    if names:
        return _named(names), Path("names")
    path = root / (palette or "classes.txt")
    if not path.is_file():
        raise DataError(
            f"{path}: no such file; the records do not say what their ids mean: write a class list, in the order of "
            f"the ids, a line NAME or NAME R G B each, or say names=NAME,NAME"
        )
    return read_palette(path), path


def _named(names: str) -> Palette:
    """Return a class list of names, `ignore` among them, with colours to show them in."""
    classes = drawn_classes((), names, "")[0]
    listed = [name.strip() for name in names.split(",")]
    if not all(listed):
        raise UsageError(f"option names={names}: a name is empty, and ids are counted; expected names joined by commas")
    indices = [classes.index(name) for name in listed]
    return Palette(
        tuple(
            (name, (0, 0, 0) if index is None else classes.colours[index])
            for name, index in zip(listed, indices, strict=True)
        ),
        has_colours=False,
    )


def _scan(files: Sequence[Path]) -> tuple[dict[Path, list[int]], dict[Path, DataError]]:
    """Return where the records of each file begin, and what is wrong with files of which not all can be found."""
    offsets: dict[Path, list[int]] = {path: [] for path in files}
    broken: dict[Path, DataError] = {}
    for path in files:
        try:
            offsets[path].extend(record_offsets(path))
        except DataError as error:
            broken[path] = error
    return offsets, broken


def _masks(offsets: Mapping[Path, Sequence[int]], key: str) -> Iterator[Encoded]:
    """Yield the first mask of each file; a record that cannot be read says so when its sample is read."""
    for path, offset in ((path, offset) for path, listed in offsets.items() for offset in listed[:1]):
        with suppress(DataError):
            record = Example(read_record(path, offset), f"{path}: byte {offset}")
            yield Encoded(record.bytes_of(key), record.where)


def _key(path: Path) -> str:
    """Return what a file is called within the data; `train-1.tfrecord` and `val.tfrecord` stand in such folders."""
    key = path.with_suffix("").as_posix()
    word = SPLIT_WORD.match(path.name)
    split: Any = FOLDER_SPLITS.get(word[1].lower()) if word else None
    return f"{split}/{key}" if split else key
