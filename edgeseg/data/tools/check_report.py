"""What a check of a data set found: counts by split and class, errors, warnings, and which samples show it best."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.data.base import Sample
from edgeseg.data.feeding.label_counts import SplitCount
from edgeseg.data.remarks import number

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
class Report:
    """The result of a check.

    Attributes:
        classes: of the data set.
        splits: counts by split, in the data set's order.
        errors: one line each, naming file and place; any makes the data set unfit.
        warnings: one line each, about what may be meant so.
        notes: one line each, about what is as the format or the user has it.
        left_out: what a rule leaves out, by kind and class.
        candidates: for each class id the samples where it fills most of the picture, best first.
    """

    classes: ClassMap
    splits: dict[str, SplitCount]
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)
    candidates: dict[int, list[Candidate]] = field(default_factory=dict)

    def add(self, split: str, sample: Sample, pixels: NDArray[np.int64], size: Size) -> None:
        """Count a sample's pixels by id, (256,) int64."""
        self.splits[split].add(pixels, len(self.classes), size)
        present = np.flatnonzero(pixels[: len(self.classes)])
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
            "notes": self.notes,
            "left_out": self.left_out,
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
