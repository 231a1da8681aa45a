"""What a check of a data set found: counts by split and class, errors, warnings, and which samples show it best."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.data.base import Sample

CANDIDATES = 3  # samples remembered for each class, so that two classes need not show the same picture
PICTURES = 12  # in check.png; more only where a class would not be seen at all
VISIBLE = 0.002  # share of a picture from which a class is seen in it at a glance


@dataclass(frozen=True)
class Candidate:
    """A sample that could show a class, with the share that each id fills of its picture, (256,) float64."""

    split: str
    sample: Sample
    shares: NDArray[np.float64]


@dataclass
class SplitCount:
    """What one split holds.

    Attributes:
        samples: how many there are.
        readable: how many have a readable picture and a right mask; only these are counted below.
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

    def shares(self, classes: ClassMap) -> NDArray[np.float64]:
        """Return each class's share of the labelled pixels, (classes,) float64; zeros if nothing is labelled."""
        labelled = self.pixels[: len(classes)].astype(np.float64)
        shares: NDArray[np.float64] = labelled / max(1.0, labelled.sum())
        return shares


@dataclass
class Report:
    """The result of a check.

    Attributes:
        classes: of the data set.
        splits: counts by split, in the data set's order.
        errors: one line each, naming file and place; any makes the data set unfit.
        warnings: one line each, about what may be meant so.
        candidates: for each class id the samples where it fills most of the picture, best first.
    """

    classes: ClassMap
    splits: dict[str, SplitCount]
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    candidates: dict[int, list[Candidate]] = field(default_factory=dict)

    def add(self, split: str, sample: Sample, pixels: NDArray[np.int64], size: Size) -> None:
        """Count a sample's pixels by id, (256,) int64."""
        count = self.splits[split]
        count.readable += 1
        count.pixels += pixels
        count.images += pixels > 0
        sizes = sorted({*count.sizes, size}, key=lambda each: (each.height * each.width, each))
        count.sizes = (sizes[0], sizes[-1])
        present = np.flatnonzero(pixels[: len(self.classes)])
        count.unlabelled += not len(present)
        candidate = Candidate(split, sample, pixels / max(1, pixels.sum()))
        for index in map(int, present):
            best = self.candidates.setdefault(index, [])
            rank = sum(each.shares[index] >= candidate.shares[index] for each in best)
            best.insert(rank, candidate)
            del best[CANDIDATES:]

    @property
    def total(self) -> SplitCount:
        """All splits as one."""
        total = SplitCount()
        for split in self.splits.values():
            total.samples += split.samples
            total.readable += split.readable
            total.pixels += split.pixels
            total.images += split.images
        return total

    @property
    def verdict(self) -> str:
        """One line: good or not, and how much of what."""
        samples = ", ".join(f"{name} {split.samples}" for name, split in self.splits.items())
        found = f"{number(len(self.errors), 'error')}, {number(len(self.warnings), 'warning')}"
        return f"{'NOT GOOD' if self.errors else 'good'}: {samples}: {found}"

    def rarest_first(self) -> list[int]:
        """Return the ids of the classes that occur, the one with the fewest pixels first."""
        pixels = self.total.pixels[: len(self.classes)]
        return [int(index) for index in np.argsort(pixels, kind="stable") if pixels[index]]

    def showcase(self) -> list[tuple[int, Candidate]]:
        """Return (class id, sample) pairs that together show every class that occurs, the rarest first.

        Each class has the picture where it fills most, if that is not shown yet; after PICTURES pictures only classes
        that can be seen in none of them have one more.
        """
        chosen: list[tuple[int, Candidate]] = []
        for index in self.rarest_first():
            best = self.candidates[index]
            shown = [candidate for _, candidate in chosen]
            enough = min(VISIBLE, float(best[0].shares[index]))
            if len(chosen) >= PICTURES and any(candidate.shares[index] >= enough for candidate in shown):
                continue
            fresh = [each for each in best if all(each.sample is not candidate.sample for candidate in shown)]
            if fresh:
                chosen.append((index, fresh[0]))
        return chosen

    def document(self, data: str) -> dict[str, Any]:
        """Return the content of check.json; docs/data-check.md explains its keys."""
        return {
            "data": data,
            "good": not self.errors,
            "verdict": self.verdict,
            "errors": self.errors,
            "warnings": self.warnings,
            "classes": list(self.classes.names),
            "splits": {name: _document(split, self.classes) for name, split in self.splits.items()},
        }

    def table(self) -> list[str]:
        """Return the classes' shares of the labelled pixels and their pictures, by split, as lines of text."""
        width = max(map(len, (*self.classes.names, "not labelled")))
        lines = [" " * width + "".join(f"  {name:>18}" for name in self.splits)]
        rows = [(name, index) for index, name in enumerate(self.classes.names)]
        for name, index in rows:
            cells = (
                f"{split.shares(self.classes)[index]:9.3%} in {split.images[index]:5d}"
                for split in self.splits.values()
            )
            lines.append(f"{name:<{width}}" + "".join(f"  {cell:>18}" for cell in cells))
        void = (f"{_ignored_share(split, self.classes):9.3%} of all " for split in self.splits.values())
        return [*lines, f"{'not labelled':<{width}}" + "".join(f"  {cell:>18}" for cell in void)]


def number(count: int, what: str) -> str:
    """Return `1 error`, `2 errors`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def _ignored_share(split: SplitCount, classes: ClassMap) -> float:
    return int(split.pixels[classes.ignore_index]) / max(1, int(split.pixels.sum()))


def _document(split: SplitCount, classes: ClassMap) -> dict[str, Any]:
    return {
        "samples": split.samples,
        "readable": split.readable,
        "unlabelled": split.unlabelled,
        "sizes": [str(size) for size in split.sizes],
        "ignored_share": _ignored_share(split, classes),
        "classes": {
            name: {"share": float(share), "pixels": int(split.pixels[index]), "images": int(split.images[index])}
            for index, (name, share) in enumerate(zip(classes.names, split.shares(classes), strict=True))
        },
    }
