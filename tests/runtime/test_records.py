import json

import numpy as np
import pytest

from edgeseg.runtime.records import FrameRecord, LatencyHistogram, Ledger
from edgeseg.runtime.states import Reason, Status


def test_percentiles_agree_with_numpy_over_five_orders_of_magnitude() -> None:
    times = np.random.default_rng(1).lognormal(mean=2.0, sigma=2.0, size=20_000)
    histogram = LatencyHistogram()
    for time in times:
        histogram.add(float(time))
    for percent in (50, 90, 99):
        exact = np.percentile(times, percent, method="inverted_cdf")
        assert histogram.percentile(percent) == pytest.approx(exact, rel=0.0011)
    assert histogram.mean == pytest.approx(times.mean())
    assert histogram.max == times.max()


def test_no_percentile_exceeds_the_maximum() -> None:
    histogram = LatencyHistogram()
    histogram.add(10.0)
    assert histogram.percentile(50) == pytest.approx(10.0, rel=0.002)
    assert histogram.percentile(99) <= histogram.max == 10.0


def test_times_outside_the_buckets_are_counted_not_lost() -> None:
    histogram = LatencyHistogram()
    for time in (0.0, 1e-9, 1e9):
        histogram.add(time)
    assert histogram.count == 3
    assert histogram.max == 1e9


def test_captured_is_the_sum_of_what_became_of_the_frames() -> None:
    ledger = Ledger()
    for status in (Status.OK, *Status):
        ledger.add(FrameRecord(0, 0.0, status))
    assert ledger.frames == {"captured": 5, "processed": 2, "skipped": 1, "stale": 1, "failed": 1}


def test_a_record_is_one_line_of_json_with_the_documented_keys() -> None:
    line = FrameRecord(3, 12.5, Status.STALE, Reason.DEADLINE, ms={"wait": 1.25}).to_json()
    assert "\n" not in line
    assert json.loads(line) == {
        "frame": 3, "captured_at": 12.5, "clock": "arrival", "status": "stale", "reason": "deadline",
        "seen": [], "ms": {"wait": 1.25},
    }  # fmt: skip
