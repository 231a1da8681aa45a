"""How far a mean IoU would move with other pictures of the same kind: percentile bootstrap intervals.

Efron, Tibshirani: An Introduction to the Bootstrap (1993), chapter 13: draw as many drives as there are, with
replacement, and measure again, many times; the interval holds the middle 95 % of what came out. Whole drives are drawn,
since neighbours in time are near copies of each other: a hundred of them tell hardly more than one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.metrics import Interval, Intervals, Scores
from edgeseg.data.base import Sample
from edgeseg.data.splits import drive_of

LEVEL = 0.95
RESAMPLES = 2000  # with another seed an end then moves by some 2 % of the width
SEED = 0  # always the same: the same pictures and masks give the same figures
FEW = 10  # drives or pictures; below, an interval holds the truth less often than in 9 of 10 cases (docs/evaluation.md)
_BLOCK = 100  # resamples at a time: 5000 pictures are 4 MB of them

Resamples = NDArray[np.float64]


@dataclass(frozen=True)
class Units:
    """What is drawn anew, as a whole.

    Attributes:
        over: "drives" or "pictures".
        drives: how many there are, drawn or not.
        of_picture: the unit of each picture, (pictures,) int64 from 0.
    """

    over: str
    drives: int
    of_picture: NDArray[np.int64]

    @classmethod
    def of(cls, drives: Sequence[str], over: str = "drives") -> Units:
        """Take the drive of each picture. One drive cannot be drawn in several ways: there, pictures are."""
        numbers = {drive: number for number, drive in enumerate(dict.fromkeys(drives))}
        if over == "pictures" or not 1 < len(numbers) < len(drives):
            return cls("pictures", len(numbers), np.arange(len(drives)))
        return cls("drives", len(numbers), np.array([numbers[drive] for drive in drives]))

    @property
    def count(self) -> int:
        return len(np.unique(self.of_picture))


def units_of(scores: Scores, samples: Sequence[Sample], over: str) -> Units:
    """Return the units of `scores.pictures`, which are some of the samples, by the drives of these."""
    drives = {sample.name: drive_of(sample) for sample in samples}
    return Units.of([drives[each.name] for each in scores.pictures], over)


def with_intervals(scores: Scores, units: Units) -> Scores:
    """Return the scores with their intervals; as they are if no picture has a labelled pixel.

    A class that occurs in none of a resample's pictures counts in none of its means, as in mean IoU itself. Where the
    class is a hard one, such resamples come out too high, and so does the upper end.

    Args:
        scores: with counts by picture.
        units: of `scores.pictures`.
    """
    if not scores.pictures:
        return scores
    counts = scores.counts()
    iou = _resampled_iou(counts, units)
    occurs_in = (_sums(counts, units)[:, 1:].sum(axis=1) > 0).sum(axis=0)  # truth or prediction
    found = Intervals(
        over=units.over,
        drives=units.drives,
        pictures=len(scores.pictures),
        level=LEVEL,
        resamples=RESAMPLES,
        miou=_middle(np.nanmean(iou, axis=1)),
        iou={
            name: _middle(column[~np.isnan(column)]) if number > 1 else None
            for name, column, number in zip(scores.iou, iou.T, occurs_in, strict=True)
        },
    )
    return replace(scores, intervals=found)


def difference(scores: Scores, earlier: Scores, units: Units) -> tuple[float, Interval]:
    """Return by how much mean IoU is above that of another model on the same pictures, and the interval of that.

    Paired: both models are measured on each resample, so a picture that is hard for both moves the difference little.
    """
    new, old = (np.nanmean(_resampled_iou(each.counts(), units), axis=1) for each in (scores, earlier))
    return scores.miou - earlier.miou, _middle(new - old)


def describe(intervals: Intervals) -> str:
    """Return what the intervals are over, and what is wrong with that, on one line."""
    pictures = f"{intervals.pictures} picture{'s' * (intervals.pictures > 1)}"
    of_drives = "one drive" if intervals.drives == 1 else f"{intervals.drives} drives"
    over = f"{of_drives}, {pictures}" if intervals.over == "drives" else pictures
    if intervals.over == "pictures" and intervals.drives < intervals.pictures:
        over += f" of {of_drives}"
    wrong = caution(intervals)
    return f"{percent(intervals.level)} intervals over {over}{wrong and f': {wrong}'}"


def caution(intervals: Intervals) -> str:
    """Return why the intervals hold the truth less often than they say; an empty text where nothing is known."""
    if intervals.over == "pictures" and intervals.drives < intervals.pictures:
        alone = ", and one drive says nothing of others" if intervals.drives == 1 else ""
        return f"too narrow, neighbours are alike{alone}"
    drawn = intervals.drives if intervals.over == "drives" else intervals.pictures
    return f"rough and mostly too narrow, they are fewer than {FEW}" if drawn < FEW else ""


def brackets(interval: Interval | None) -> str:
    """Return an interval as `[0.661, 0.710]`; a dash for none."""
    return f"[{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "-"


def percent(level: float) -> str:
    """Return a level as `95 %`."""
    return f"{100 * level:g} %"


def draws(count: int) -> Iterator[NDArray[np.int64]]:
    """Yield the resamples: which of `count` units is drawn, (some, count) int64, RESAMPLES rows in all."""
    random = np.random.default_rng(SEED)
    for _ in range(0, RESAMPLES, _BLOCK):
        yield random.integers(count, size=(_BLOCK, count))


def _resampled_iou(counts: NDArray[np.int64], units: Units) -> Resamples:
    """Return each resample's IoU by class, (resamples, classes); nan where a class does not occur.

    A product of matrices does what drawing and adding would. Whole numbers below 2**53 are exact in any order.
    """
    sums = _sums(counts, units).astype(np.float64)
    found = []
    for drawn in draws(units.count):
        rows = np.arange(len(drawn))[:, np.newaxis] * units.count
        times = np.bincount((drawn + rows).ravel(), minlength=drawn.size).reshape(drawn.shape)
        right, labelled, predicted = np.tensordot(times.astype(np.float64), sums, 1).transpose(1, 0, 2)
        union = labelled + predicted - right
        found.append(np.divide(right, union, out=np.full_like(union, np.nan), where=union > 0))
    return np.concatenate(found)


def _sums(counts: NDArray[np.int64], units: Units) -> NDArray[np.int64]:
    """Add up the counts (pictures, 3, classes) of each unit's pictures: (units, 3, classes)."""
    sums = np.zeros((units.count, *counts.shape[1:]), np.int64)
    np.add.at(sums, units.of_picture, counts)
    return sums


def _middle(values: Resamples) -> Interval:
    low, high = np.percentile(values, (50 * (1 - LEVEL), 50 * (1 + LEVEL)))
    return float(low), float(high)
