"""`edgeseg data pack`: any data set as TFRecord shards, which read many times as fast as loose picture files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import IO

from edgeseg.core.errors import UsageError
from edgeseg.core.geometry import Crop, Size, place
from edgeseg.core.whole_folders import replace_whole_folder
from edgeseg.data.base import Dataset, Sample
from edgeseg.data.feeding.fit import fit_class_map, fit_image
from edgeseg.data.parallel import map_in_order
from edgeseg.data.splits import check_split_names
from edgeseg.data.tfrecord.file import framed_size, write_record
from edgeseg.data.tfrecord.sample import packed_record
from edgeseg.data.tfrecord.spec import PackSpec, Record, Shard, is_pack, read_pack_spec
from edgeseg.data.tools.pack_settings import PackSettings
from edgeseg.data.tools.write_masks import check_free, file_names

MB = 1_000_000


def write_pack(
    dataset: Dataset,
    out: Path,
    settings: PackSettings,
    source: str,
    splits: Sequence[str] = (),
    overwrite: bool = False,
    on_start: Callable[[int], None] = lambda samples: None,
    on_sample: Callable[[], None] = lambda: None,
) -> PackSpec:
    """Write `out/<split>-00000-of-00007.tfrecord`, `out/index.json` and `out/dataset.json`; return what is in them.

    Samples are read and encoded on all cores, a few ahead of the one that is written, so memory does not grow with
    their number (names and offsets aside). The folder takes its name when it is whole.

    Args:
        dataset: what to pack.
        out: a folder that is not there or empty; with `overwrite` also a pack, which stays until the new one is whole.
        settings: size and encoding.
        source: what the data set is called, for people to read.
        splits: the splits to pack; none for all.
        on_start: told the number of samples.
        on_sample: called after each sample; what it raises ends the writing.

    Raises:
        DataError: a sample cannot be read.
        UsageError: `out` is taken or cannot be written.
    """
    check_place(out, overwrite)
    dataset.check_crop(settings.crop)
    chosen = list(dict.fromkeys(splits or dataset.splits))
    check_split_names(chosen)
    listed = {split: dataset.split(split) for split in chosen}
    on_start(sum(map(len, listed.values())))

    def write(folder: Path) -> PackSpec:
        shards = {}
        for split, samples in listed.items():
            with _ShardWriter(folder, split, settings.shard_mb * MB) as writer:
                _write_samples(samples, settings, writer, on_sample)
            shards[split] = writer.finished()
        made = _made(settings, settings.crop or dataset.crop, dataset.edges, source)
        made.update(warnings=dataset.remarks.warnings(), notes=dataset.remarks.notes())
        spec = PackSpec(dataset.classes, shards, made)
        spec.write(folder)
        return spec

    return replace_whole_folder(out, write)


def check_place(out: Path, overwrite: bool) -> None:
    """Raise UsageError if `out` may not be written: only a pack is ever replaced, and nothing of another's with it."""
    if not (out.is_dir() and any(out.iterdir())):
        check_free(out)
    elif not is_pack(out):
        raise UsageError(f"{out} holds something else than a pack; choose a new folder: it is not overwritten")
    elif not overwrite:
        raise UsageError(f"{out} holds a pack; choose a new folder, or say --overwrite to replace it")
    else:
        foreign = sorted({path.name for path in out.iterdir()} - read_pack_spec(out).files)
        if foreign:
            raise UsageError(f"{out} holds {foreign[0]}, which is not of the pack; move it away to replace the pack")


def _write_samples(
    samples: Sequence[Sample], settings: PackSettings, writer: _ShardWriter, on_sample: Callable[[], None]
) -> None:
    names = [name.removesuffix(".png") for name in file_names([sample.name for sample in samples])]
    for name, data in map_in_order(partial(_record, settings=settings), zip(names, samples, strict=True)):
        writer.add(data, name)
        on_sample()


def _record(named: tuple[str, Sample], settings: PackSettings) -> tuple[str, bytes]:
    name, sample = named
    image, class_map = sample.read()
    picture = Size(*class_map.shape)
    cut = place(picture, picture, crop=settings.crop).source
    placement = place(picture, settings.size or Size(cut.height, cut.width), settings.fit, settings.crop)
    image = fit_image(image, placement, settings.padding)
    class_map = fit_class_map(class_map, placement, sample.classes.ignore_index)
    return name, packed_record(image, class_map, name, settings.encoding, settings.quality)


class _ShardWriter:
    """Writes the shards of a split; a context manager. They take their names when their number is known."""

    def __init__(self, folder: Path, split: str, limit_bytes: int) -> None:
        self._folder, self._split, self._limit_bytes = folder, split, limit_bytes
        self._sizes: list[int] = []
        self._records: list[list[Record]] = []
        self._file: IO[bytes] | None = None

    def __enter__(self) -> _ShardWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._file:
            self._file.close()

    def add(self, data: bytes, name: str) -> None:
        """Append a record, in a new shard if it would not fit into this one."""
        if not self._sizes or self._sizes[-1] + framed_size(len(data)) > self._limit_bytes:
            self._next()
        self._records[-1].append(Record(self._sizes[-1], name))
        assert self._file
        self._sizes[-1] += write_record(self._file, data)

    def _next(self) -> None:
        if self._file:
            self._file.close()
        self._file = self._partial(len(self._sizes)).open("wb")
        self._sizes.append(0)
        self._records.append([])

    def finished(self) -> tuple[Shard, ...]:
        """Name the shards."""
        shards = []
        for number, (size, records) in enumerate(zip(self._sizes, self._records, strict=True)):
            name = f"{self._split}-{number:05}-of-{len(self._sizes):05}.tfrecord"
            self._partial(number).rename(self._folder / name)
            shards.append(Shard(name, size, tuple(records)))
        return tuple(shards)

    def _partial(self, number: int) -> Path:
        return self._folder / f"{self._split}-{number:05}.partial"


def _made(settings: PackSettings, crop: Crop | None, edges: str | None, source: str) -> dict[str, object]:
    made: dict[str, object] = {
        "size": settings.size and str(settings.size),
        "fit": settings.fit,
        "crop": crop and list(crop),
        "encoding": settings.encoding,
    }
    if settings.encoding == "jpeg":
        made["quality"] = settings.quality
    if edges:
        made["edges"] = edges
    return {**made, "source": source, "edgeseg": version("edgeseg")}
