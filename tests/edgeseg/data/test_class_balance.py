"""Class weights, each by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgeseg.data.feeding.class_balance import PIXELS_A_SAMPLE, ClassCounts, class_weights

# 6, 2 and 0 pixels; class 0 is in both pictures (8 labelled pixels), class 1 in one of 4.
COUNTS = ClassCounts(np.array([6.0, 2.0, 0.0]), np.array([8.0, 4.0, 0.0]))


def test_shares() -> None:
    np.testing.assert_array_equal(COUNTS.shares, [0.75, 0.25, 0])


@pytest.mark.parametrize(
    ("balance", "expected"),
    [
        ("none", [1, 1, 1]),
        ("log", [1 / math.log(1.85), 1 / math.log(1.35), 1 / math.log(1.1)]),
        ("inverse", [4 / 3, 4, 4]),
        ("median_frequency", [0.625 / 0.75, 0.625 / 0.5, 0.625 / 0.5]),  # a class never seen weighs like the rarest
    ],
)
def test_weights_by_hand(balance: str, expected: list[float]) -> None:
    np.testing.assert_allclose(class_weights(COUNTS, balance), expected, rtol=1e-6)


def test_effective_number_counts_samples_of_32x32_pixels() -> None:
    samples = np.array([1.0, 10_000.0])
    weights = class_weights(ClassCounts(samples * PIXELS_A_SAMPLE, samples), "effective_number")
    np.testing.assert_allclose(weights, [1, 1e-4 / (1 - 0.9999**10_000)], rtol=1e-5)
    alike = class_weights(ClassCounts(samples * PIXELS_A_SAMPLE * 1e9, samples), "effective_number")
    np.testing.assert_allclose(alike, 1e-4, rtol=1e-3)  # of both there is more than enough
