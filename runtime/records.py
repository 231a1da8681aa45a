"""Per-frame records and their sums: what happened to each captured frame, and how long it took."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgeseg.runtime.health import SourceHealth
from edgeseg.runtime.road import RoadResult
from edgeseg.runtime.states import PICTURE_REASONS, Clock, Reason, Status

STALE_REASONS = (Reason.DEADLINE, *PICTURE_REASONS)
STAGES = ("capture_to_mask", "frame", "wait", "preprocess", "inference", "postprocess", "output")
"""`frame` is preprocess + inference + postprocess: what one frame costs, whatever it had to wait for."""


@dataclass
class FrameRecord:
    """One captured frame.

    Attributes:
        frame: its id.
        captured_at: Unix seconds.
        reason: why it is not ok.
        clock: who stamped the time.
        ms: milliseconds by stage; empty for a frame that was not processed.
        road: what the mask says of the road, if that was asked for.
        confidence: mean (0 to 1) of each class in the mask, by name; None without `--stats` or a graph that tells it.
        seen: all that the watches saw in the picture; `reason` is one thing alone, and may be the deadline.
    """

    frame: int
    captured_at: float
    status: Status = Status.OK
    reason: Reason | None = None
    clock: Clock = Clock.ARRIVAL
    ms: dict[str, float] = field(default_factory=dict)
    road: RoadResult | None = None
    seen: tuple[Reason, ...] = ()
    confidence: dict[str, float] | None = None

    def to_json(self) -> str:
        """One line of JSON; `road` and `confidence` are in it if there are any."""
        return json.dumps(self.to_document())

    def to_document(self) -> dict[str, Any]:
        """Return what `to_json` writes, as JSON values."""
        document: dict[str, Any] = {
            "frame": self.frame,
            "captured_at": round(self.captured_at, 6),
            "clock": self.clock,
            "status": self.status,
            "reason": self.reason,
            "seen": list(self.seen),
            "ms": {stage: round(value, 4) for stage, value in self.ms.items()},
        }
        if self.road is not None:
            document["road"] = self.road.to_dict()
        if self.confidence is not None:
            document["confidence"] = {name: round(value, 4) for name, value in self.confidence.items()}
        return document


class LatencyHistogram:
    """Times in constant memory, however long a camera runs: exact count, mean and maximum, percentiles within 0.1 %.

    The buckets are logarithmic, as in HdrHistogram: 1 microsecond to 17 minutes in steps of 0.2 %.
    """

    _STEP = math.log(1.002)
    _LOWEST_MS = 1e-3
    _BUCKETS = int(math.log(1e6 / _LOWEST_MS) / _STEP) + 2

    def __init__(self) -> None:
        self._counts = np.zeros(self._BUCKETS, np.int64)
        self.count = 0
        self._sum = 0.0
        self.max = 0.0

    def add(self, ms: float) -> None:
        bucket = int(math.log(max(ms, self._LOWEST_MS) / self._LOWEST_MS) / self._STEP)
        self._counts[min(bucket, self._BUCKETS - 1)] += 1
        self.count += 1
        self._sum += ms
        self.max = max(self.max, ms)

    @property
    def mean(self) -> float:
        return self._sum / self.count if self.count else 0.0

    def percentile(self, percent: float) -> float:
        """Return the time in ms that `percent` (0 to 100) of all times do not exceed; 0 if there are none."""
        if not self.count:
            return 0.0
        rank = max(1, math.ceil(self.count * percent / 100))
        bucket = int(np.searchsorted(np.cumsum(self._counts), rank))
        return min(self.max, self._LOWEST_MS * math.exp((bucket + 0.5) * self._STEP))

    def count_up_to(self, ms: float) -> int:
        """Return how many times were at most `ms`, to within the 0.2 % of a bucket."""
        bucket = int(math.log(max(ms, self._LOWEST_MS) / self._LOWEST_MS) / self._STEP)
        return int(self._counts[: bucket + 1].sum())

    def summary(self) -> dict[str, float]:
        return {
            "mean": round(self.mean, 4),
            **{f"p{percent}": round(self.percentile(percent), 4) for percent in (50, 90, 99)},
            "max": round(self.max, 4),
        }


class Ledger:
    """Adds up records; `captured` is always the sum of the other counts.

    Attributes:
        latency: by stage.
        source: how the source fares.
        stale: stale masks by reason.
    """

    def __init__(self, source: SourceHealth | None = None) -> None:
        self._counts = dict.fromkeys(Status, 0)
        self.latency = {stage: LatencyHistogram() for stage in STAGES}
        self.source = source or SourceHealth()
        self.stale = {reason.value: 0 for reason in STALE_REASONS}

    def add(self, record: FrameRecord) -> None:
        self._counts[record.status] += 1
        if record.status == Status.STALE and record.reason:
            self.stale[record.reason] = self.stale.get(record.reason, 0) + 1
        for stage, value in record.ms.items():
            self.latency[stage].add(value)

    @property
    def processed(self) -> int:
        return self._counts[Status.OK]

    @property
    def frames(self) -> dict[str, int]:
        counts = self._counts
        return {
            "captured": sum(counts.values()),
            "processed": counts[Status.OK],
            "skipped": counts[Status.SKIPPED],
            "stale": counts[Status.STALE],
            "failed": counts[Status.FAILED],
        }

    def latency_ms(self) -> dict[str, dict[str, float]]:
        return {stage: histogram.summary() for stage, histogram in self.latency.items()}
