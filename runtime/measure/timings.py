"""What many times amount to: the statistics of a benchmark, and whether two of them differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import UsageError

REPEATABILITY = 0.03
"""Two runs of one benchmark on an idle machine may differ by so much at p50; less is never called a difference."""
_FLOOR_MS = 0.25  # what a scheduler does to a frame, however short
_RESAMPLES = 2000
_CONFIDENCE = 95.0


def statistics(ms: Sequence[float] | NDArray[np.float64]) -> dict[str, float]:
    """Return mean, p50, p90, p99, p99.9, max and jitter of times in milliseconds; zeros of none.

    Percentiles are times that occurred (the nearest rank), so p99.9 of fewer than 1000 is the maximum. Jitter is the
    mean distance between successive times, the quantity that RFC 3550 smooths.
    """
    values = np.asarray(ms, np.float64)
    if not values.size:
        return dict.fromkeys(("mean", "p50", "p90", "p99", "p99.9", "max", "jitter"), 0.0)
    ordered = np.sort(values)
    # The share is rounded first: 0.999 * 1000 is a little more than 999 in binary.
    ranks = {f"p{each:g}": ordered[ceil(round(each / 100 * values.size, 6)) - 1] for each in (50, 90, 99, 99.9)}
    jitter = np.abs(np.diff(values)).mean() if values.size > 1 else 0.0
    found = {"mean": values.mean(), **ranks, "max": values.max(), "jitter": jitter}
    return {name: round(float(value), 4) for name, value in found.items()}


@dataclass(frozen=True)
class Difference:
    """One stage of two results.

    Attributes:
        before, after: medians in ms.
        low, high: 95 % confidence interval of after - before, in ms; infinite where one of them has a single round.
        tolerance: ms that a repetition may differ by: REPEATABILITY of the whole frame, whatever the stage, or 0.25.
    """

    before: float
    after: float
    low: float
    high: float
    tolerance: float

    @property
    def ratio(self) -> float | None:
        """after / before; None where before is nothing."""
        return self.after / self.before if self.before else None

    @property
    def verdict(self) -> str:
        """`slower` or `faster` where the whole interval is beyond what a repetition may differ by, else `noise`.

        `not known` where there is no interval.
        """
        if not np.isfinite(self.low):
            return "not known"
        if self.low > self.tolerance:
            return "slower"
        return "faster" if self.high < -self.tolerance else "noise"


Rounds = Sequence[Sequence[float]]
"""Times in ms of each round of a benchmark."""


def repeatability(rounds: Rounds, seed: int = 0) -> float | None:
    """Return how well a measurement's own rounds know its p50: half the 95 % confidence interval, as a share of it.

    A measurement that is repeated will hardly agree better than this. None for a single round, which cannot know.
    """
    medians = np.array([np.median(each) for each in rounds if len(each)])
    if medians.size < 2:
        return None
    low, high = _interval(_resampled(medians, np.random.default_rng(seed)))
    return round(float((high - low) / 2 / np.median(medians)), 4)


def _resampled(medians: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    drawn: NDArray[np.float64] = np.median(random.choice(medians, (_RESAMPLES, medians.size)), axis=1)
    return drawn


def _interval(drawn: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(drawn, [(100 - _CONFIDENCE) / 2, (100 + _CONFIDENCE) / 2])
    return float(low), float(high)


def compare(before: Rounds, after: Rounds, frame_ms: float, seed: int = 0) -> Difference:
    """Compare two measurements of one time.

    Rounds, not times, are drawn anew (block bootstrap): a machine's speed drifts over seconds, so successive times are
    no independent witnesses.

    Args:
        before, after: the times.
        frame_ms: what a whole frame took before.
        seed: of the drawing.

    Raises:
        UsageError: one of them holds no times.
    """
    medians = [np.array([np.median(each) for each in rounds if len(each)]) for rounds in (before, after)]
    if not all(each.size for each in medians):
        raise UsageError("a result holds no times to compare; measure longer")
    random = np.random.default_rng(seed)
    drawn = [_resampled(each, random) for each in medians]
    is_known = min(each.size for each in medians) > 1  # a single round drawn anew is always itself
    low, high = _interval(drawn[1] - drawn[0]) if is_known else (-np.inf, np.inf)
    middle = [float(np.median(each)) for each in medians]
    return Difference(middle[0], middle[1], low, high, max(_FLOOR_MS, REPEATABILITY * frame_ms))
