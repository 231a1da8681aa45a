"""Prove a data set's labels right before a training run is wasted on them.

Every picture and mask of every split is decoded by the code that training reads with. What is found is counted and
passed on; of the pixels nothing is kept, so memory does not grow with the number of pictures (their names aside).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import EdgesegError, one_line
from edgeseg.core.geometry import Size
from edgeseg.data.base import Dataset, Image, Sample
from edgeseg.data.parallel import map_in_order
from edgeseg.data.reading.decode import take_remarks
from edgeseg.data.splits import sequence_of
from edgeseg.data.tools.check_report import Report, SplitCount, number

DIGEST_BYTES = 16


@dataclass(frozen=True)
class _Finding:
    """What one thread has to say about one sample. Pixels are counted only if nothing is wrong."""

    errors: tuple[str, ...] = ()
    digest: bytes = b""
    pixels: NDArray[np.int64] | None = None
    size: Size | None = None
    doubts: Mapping[str, int] = field(default_factory=dict)


def check_dataset(
    dataset: Dataset,
    on_start: Callable[[int], None] = lambda samples: None,
    on_sample: Callable[[], None] = lambda: None,
    on_error: Callable[[str], None] = lambda line: None,
) -> Report:
    """Read every sample of every split, count, and go on after each error.

    Args:
        dataset: what to check.
        on_start: told the number of samples.
        on_sample: called after each sample.
        on_error: told each error when it is found.
    """
    report = Report(dataset.classes, {name: SplitCount() for name in dataset.splits})

    def fail(line: str) -> None:
        report.errors.append(one_line(line))
        on_error(report.errors[-1])

    everything = []
    for split in dataset.splits:
        try:
            listed = dataset.split(split, complete=False)
        except EdgesegError as error:
            fail(f"{split}: {error}")
            continue
        report.splits[split].samples = len(listed)
        everything += [(split, sample) for sample in listed]
    on_start(len(everything))

    seen, doubts = _Seen(), _Doubts()
    findings = map_in_order(lambda pair: _inspect(pair[1]), everything)
    for (split, sample), finding in zip(everything, findings, strict=True):
        for line in (*finding.errors, *seen.in_another_split(finding.digest, split, sample.name)):
            fail(line)
        if finding.pixels is not None and finding.size is not None:
            report.add(split, sample, finding.pixels, finding.size)
        doubts.add(finding.doubts)
        on_sample()
    report.warnings += [*dataset.remarks(), *take_remarks(), *seen.repeated_within_splits()]
    report.warnings += [*doubts.lines(), *_class_warnings(report)]
    report.warnings += shared_sequences((split, sample.name) for split, sample in everything)
    return report


def _inspect(sample: Sample) -> _Finding:
    try:
        image, class_map = sample.read()
        doubts = sample.doubts()
    except Exception as error:  # a data set class may be the user's own: whatever it raises, the check goes on
        return _explain(sample, error)
    pixels = np.bincount(class_map.ravel(), minlength=256)
    return _Finding((), _digest(image), pixels, Size(*class_map.shape), doubts)


def _explain(sample: Sample, error: Exception) -> _Finding:
    """Read picture and mask one by one: both may be wrong, and a picture that is right may stand in two splits."""
    errors, digest = [], b""
    try:
        digest = _digest(sample.read_image())
    except Exception as image_error:
        errors.append(_line(sample, image_error))
    try:
        sample.read_class_map()
    except Exception as mask_error:
        errors.append(_line(sample, mask_error))
    return _Finding(tuple(dict.fromkeys(errors)) or (_line(sample, error),), digest)


def _line(sample: Sample, error: Exception) -> str:
    if isinstance(error, EdgesegError):
        return str(error)
    return f"{sample.name}: cannot be read ({type(error).__name__}: {error}); mend the file or the class that reads it"


def _digest(image: Image) -> bytes:
    """Of the decoded picture: the same one is found however it was compressed or named, whatever the format."""
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.digest()[:DIGEST_BYTES]


class _Seen:
    """Which pictures have been met: 16 bytes a picture, and its name."""

    def __init__(self) -> None:
        self._first: dict[bytes, tuple[str, str]] = {}
        self._repeats: Counter[str] = Counter()
        self._example: dict[str, tuple[str, str]] = {}

    def in_another_split(self, digest: bytes, split: str, name: str) -> Iterator[str]:
        """Remember a picture; yield an error if it was met in another split."""
        if not digest:
            return
        first_split, first_name = self._first.setdefault(digest, (split, name))
        if first_split != split:
            yield (
                f"{name}: the picture is in {split} and, pixel for pixel, in {first_split} ({first_name}); "
                f"expected each picture in one split: remove it from one of them"
            )
        elif first_name != name:
            self._repeats[split] += 1
            self._example.setdefault(split, (first_name, name))

    def repeated_within_splits(self) -> Iterator[str]:
        for split, count in self._repeats.items():
            first, second = self._example[split]
            yield f"{split}: {number(count, 'picture')} there more than once, as {first} and {second}"


class _Doubts:
    """What the samples' labels leave in doubt, counted."""

    def __init__(self) -> None:
        self._objects: Counter[str] = Counter()
        self._pictures: Counter[str] = Counter()

    def add(self, doubts: Mapping[str, int]) -> None:
        self._objects.update(doubts)
        self._pictures.update(doubts.keys())

    def lines(self) -> Iterator[str]:
        for doubt, count in self._objects.items():
            yield f"{count} in {number(self._pictures[doubt], 'picture')}: {doubt}"


def _class_warnings(report: Report) -> Iterator[str]:
    counted = {name: split for name, split in report.splits.items() if split.readable}
    for index, name in enumerate(report.classes.names):
        lacking = [split for split, count in counted.items() if not count.images[index]]
        if counted and len(lacking) == len(counted):
            yield f"class {name} never occurs; label it or leave it out"
        else:
            yield from (f"class {name} does not occur in {split}, but elsewhere" for split in lacking)
    ignored, occur = report.total.pixels[report.classes.ignore_index], len(report.rarest_first())
    if ignored and occur < 2 <= len(report.classes):
        void = report.classes.ignore_index
        yield f"{occur} of {len(report.classes)} classes occurs, beside ignored pixels; {void} is never a class"
    for split, count in counted.items():
        if count.unlabelled:
            yield f"{split}: {number(count.unlabelled, 'picture')} without a single labelled pixel"


def shared_sequences(samples: Iterator[tuple[str, str]]) -> Iterator[str]:
    """Yield a warning for each sequence in several splits; `samples` are pairs of split and sample name.

    Neighbours in time are nearly the same picture, so scores on such a split flatter. A drive without a digit in its
    name says nothing: img_0001 may be in both splits, and be of two drives. Nor do folders, which may be the splits.
    """
    counts: dict[str, Counter[str]] = {}
    for split, name in samples:
        sequence = sequence_of(Path(name).stem)
        if any(character.isdigit() for character in sequence):
            counts.setdefault(sequence, Counter())[split] += 1
    for sequence, in_splits in counts.items():
        if len(in_splits) > 1:
            shared = " and ".join(f"{split} ({number(count, 'picture')})" for split, count in in_splits.items())
            yield f"sequence {sequence} is in {shared}: neighbours in time are alike, scores will flatter"
