"""Boundary F1: a hand-worked outline, what is ignored, and the definition itself on random shapes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeseg.core.labels import ClassMap
from edgeseg.evaluation.boundary import TOLERANCE, BoundaryF1

THREE = ClassMap(("a", "b", "c"), ((0, 0, 0), (1, 1, 1), (2, 2, 2)))
SIDE = 100  # the tolerance is 1.06 pixels


def halves(column: int) -> NDArray[np.uint8]:
    class_map = np.zeros((SIDE, SIDE), np.uint8)
    class_map[:, column:] = 1
    return class_map


def measured(*pairs: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> BoundaryF1:
    outlines = BoundaryF1(THREE)
    for truth, predicted in pairs:
        outlines.add(truth, predicted)
    return outlines


def test_an_outline_within_the_tolerance_is_right_and_one_beyond_is_wrong() -> None:
    assert measured((halves(50), halves(51))).score() == 1
    assert measured((halves(50), halves(52))).score() == 0
    both = measured((halves(50), halves(51)), (halves(50), halves(52)))
    assert both.score() == 0.5
    assert both.of_class() == {"a": 0.5, "b": 0.5, "c": None}


def test_a_hand_worked_outline() -> None:
    predicted = halves(50)
    predicted[50:] = halves(60)[50:]
    # Class a: 100 true pixels in column 49; 109 predicted ones: 50 in column 49, 50 in column 59, 9 in row 50 between.
    # Within a pixel of each other: rows 0 to 49, and around the corner row 50. Class b is the same, mirrored.
    precision, recall = 51 / 109, 51 / 100
    f1 = 2 * precision * recall / (precision + recall)
    outlines = measured((halves(50), predicted))
    assert outlines.of_class() == {"a": pytest.approx(f1), "b": pytest.approx(f1), "c": None}
    assert outlines.score() == pytest.approx(f1)


def test_a_class_that_is_only_predicted_counts_as_missed() -> None:
    predicted = halves(50)
    predicted[:10, :10] = 2
    of_class = measured((halves(50), predicted)).of_class()
    assert of_class["c"] == 0
    assert of_class["b"] == 1


def test_where_the_truth_says_nothing_no_outline_is_judged() -> None:
    truth, predicted = halves(50), halves(50)
    truth[60:] = 255
    predicted[60:] = halves(20)[60:]
    assert measured((truth, predicted)).score() == 1
    assert measured((np.full((SIDE, SIDE), 255, np.uint8), predicted)).score() is None
    assert measured((np.zeros((SIDE, SIDE), np.uint8),) * 2).score() is None  # one class alone has no outline


def outline(class_map: NDArray[np.uint8], truth: NDArray[np.uint8], index: int) -> NDArray[np.int64]:
    """By the definition, pixel by pixel."""
    found = []
    for y, x in np.argwhere((class_map == index) & (truth != 255)):
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            inside = 0 <= v < class_map.shape[0] and 0 <= u < class_map.shape[1]
            if inside and truth[v, u] != 255 and class_map[v, u] != index:
                found.append((y, x))
                break
    return np.array(found, np.int64).reshape(-1, 2)


def share_near(points: NDArray[np.int64], others: NDArray[np.int64], reach: float) -> float:
    if not len(points) or not len(others):
        return 0.0
    return float((np.linalg.norm(points[:, None] - others[None], axis=2).min(axis=1) <= reach).mean())


def test_it_is_the_definition_on_random_shapes() -> None:
    random = np.random.default_rng(4)
    truth = random.choice(np.array([0, 1, 2, 255], np.uint8), (14, 20), p=[0.5, 0.3, 0.1, 0.1]).repeat(10, 0)
    truth = truth.repeat(10, 1)
    predicted = np.roll(np.where(truth == 255, 0, truth), (1, 2), (0, 1)).astype(np.uint8)
    reach = TOLERANCE * float(np.hypot(*truth.shape))
    for index, value in enumerate(measured((truth, predicted)).of_class().values()):
        true, found = outline(truth, truth, index), outline(predicted, truth, index)
        precision, recall = share_near(found, true, reach), share_near(true, found, reach)
        assert 0 < precision < 1
        assert value == pytest.approx(2 * precision * recall / (precision + recall))
