"""What the labels of splits hold, counted, and what in it may be wrong: for the check and for the start of training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.data.remarks import number
from edgeseg.data.splits import sequence_of


@dataclass
class SplitCount:
    """What one split holds.

    Attributes:
        samples: how many there are.
        readable: how many were read, with a readable picture and a right mask; only these are counted below.
        unlabelled: how many of these have no labelled pixel.
        pixels: (256,) int64, pixels of every id, the ignore index among them.
        images: (256,) int64, pictures that have at least one pixel of the id.
        sizes: the smallest and the largest picture by area; empty before the first.
    """

    samples: int = 0
    readable: int = 0
    unlabelled: int = 0
    pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    images: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    sizes: tuple[Size, ...] = ()

    def add(self, pixels: NDArray[np.int64], classes: int, size: Size | None = None) -> None:
        """Count a sample's pixels by id, (256,) int64; the ids below `classes` are labels."""
        self.readable += 1
        self.pixels += pixels
        self.images += pixels > 0
        self.unlabelled += not pixels[:classes].any()
        if size is not None:
            sizes = sorted({*self.sizes, size}, key=lambda each: (each.height * each.width, each))
            self.sizes = (sizes[0], sizes[-1])

    def shares(self, classes: ClassMap) -> NDArray[np.float64]:
        """Return each class's share of the labelled pixels, (classes,) float64; zeros if nothing is labelled."""
        labelled = self.pixels[: len(classes)].astype(np.float64)
        shares: NDArray[np.float64] = labelled / max(1.0, labelled.sum())
        return shares


def class_warnings(
    classes: ClassMap, splits: Mapping[str, SplitCount], bounded: bool = False, options: Container[str] = ()
) -> Iterator[str]:
    """Yield what the counts of the splits show that may be a mistake.

    Args:
        classes: of the data.
        splits: counts by split.
        bounded: not all samples were read, on purpose: the lines say how many.
        options: those that the data takes; one is named where it may help.
    """
    counted = {name: split for name, split in splits.items() if split.readable}
    read = " and ".join(f"{split.readable} of {split.samples} of {name}" for name, split in counted.items())
    parted = bounded and any(split.readable < split.samples for split in counted.values())
    among = f" in the pictures looked at, {read}" if parted else ""
    absent = []
    for index, class_name in enumerate(classes.names):
        lacking = [split for split, count in counted.items() if not count.images[index]]
        if counted and len(lacking) == len(counted):
            absent.append(class_name)
            yield f"class {class_name} never occurs{among}; label it or leave it out"
        else:
            yield from (f"class {class_name} does not occur in {split}, but elsewhere{among}" for split in lacking)
    if counted:
        ignored = any(split.pixels[classes.ignore_index] for split in counted.values())
        yield from _too_few(classes, absent, ignored, options)
    for split, count in counted.items():
        if count.unlabelled:
            yield f"{split}: {number(count.unlabelled, 'picture')} without a single labelled pixel"


def _too_few(classes: ClassMap, absent: Sequence[str], ignored: bool, options: Container[str]) -> Iterator[str]:
    """Yield a warning where there is nothing to tell apart: a network that says one thing only scores 1.000."""
    occur, void = len(classes) - len(absent), classes.ignore_index
    if len(classes) == 1:
        rest = "all else is ignored" if ignored else "there is nothing else"
        way = "; say unlabelled=background for what is under no shape" if ignored and "unlabelled" in options else ""
        yield f"{classes.names[0]} is the only class, and {rest}: every score will be perfect{way}"
    elif occur < 2 and ignored:
        way = f": if it stands for a class in the masks, say values={void}:{absent[0]}" if "values" in options else ""
        yield f"{occur} of {len(classes)} classes occurs, beside ignored pixels; {void} is never a class{way}"


def shared_sequences(samples: Iterable[tuple[str, str]]) -> Iterator[str]:
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
