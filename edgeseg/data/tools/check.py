"""Prove a data set's labels right before a training run is wasted on them.

Every picture and mask of every split is decoded by the code that training reads with. What is found is counted and
passed on; of the pixels nothing is kept, so memory does not grow with the number of pictures (their names aside).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import EdgesegError, one_line
from edgeseg.core.geometry import Size
from edgeseg.data.base import Dataset, Image, Sample
from edgeseg.data.feeding.label_counts import SplitCount, class_warnings, shared_sequences
from edgeseg.data.parallel import map_in_order
from edgeseg.data.reading.masks import count_ids
from edgeseg.data.remarks import number
from edgeseg.data.tools.check_report import Report

DIGEST_BYTES = 16


@dataclass(frozen=True)
class _Finding:
    """What one thread has to say about one sample. Pixels are counted only if nothing is wrong."""

    errors: tuple[str, ...] = ()
    digest: bytes = b""
    pixels: NDArray[np.int64] | None = None
    size: Size | None = None


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

    seen = _Seen()
    findings = map_in_order(lambda pair: _inspect(pair[1]), everything)
    for (split, sample), finding in zip(everything, findings, strict=True):
        for line in (*finding.errors, *seen.in_another_split(finding.digest, split, sample.name)):
            fail(line)
        if finding.pixels is not None and finding.size is not None:
            report.add(split, sample, finding.pixels, finding.size)
        on_sample()
    report.notes, report.left_out = dataset.remarks.notes(), dataset.remarks.left_out()
    report.warnings += [*dataset.remarks.warnings(), *seen.repeated_within_splits()]
    report.warnings += class_warnings(dataset.classes, report.splits, options=dataset.OPTIONS)
    report.warnings += shared_sequences((split, sample.name) for split, sample in everything)
    return report


def _inspect(sample: Sample) -> _Finding:
    try:
        image, class_map = sample.read()
    except Exception as error:  # a data set class may be the user's own: whatever it raises, the check goes on
        return _explain(sample, error)
    return _Finding((), _digest(image), count_ids(class_map), Size(*class_map.shape))


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
