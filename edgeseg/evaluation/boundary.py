"""Boundary F1: how well the outlines of the classes are met (Csurka et al. 2013).

"What is a good evaluation measure for semantic segmentation?", BMVC 2013: in each picture and for each class, precision
is the share of predicted boundary pixels that lie within a tolerance of a true one, recall the reverse. The F1 of the
classes that have a boundary in truth or prediction are averaged, then those of the pictures. The tolerance is the
paper's: 0.75 % of the picture's diagonal.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.labels import ClassMap

TOLERANCE = 0.0075  # of the diagonal
Pixels = NDArray[np.bool_]


class BoundaryF1:
    """Averages over pictures.

    A boundary pixel of a class has a neighbour (left, right, above, below) of another class. Ignored pixels, and the
    picture's edge, make no boundary: what is predicted where the truth says nothing is not judged.
    """

    def __init__(self, classes: ClassMap) -> None:
        self.classes = classes
        self._pictures: list[float] = []
        self._of_class: list[list[float]] = [[] for _ in classes.names]

    def add(self, truth: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> None:
        """Count one picture: both (H, W) uint8, ids of the classes; the truth may hold the ignore index."""
        judged = truth != self.classes.ignore_index
        edges_true, edges_predicted = _edges(truth, judged), _edges(predicted, judged)
        reach = TOLERANCE * math.hypot(*truth.shape)
        found = np.union1d(truth[edges_true], predicted[edges_predicted])
        values = {
            int(index): _f1(edges_true & (truth == index), edges_predicted & (predicted == index), reach)
            for index in found
        }
        for index, value in values.items():
            self._of_class[index].append(value)
        if values:
            self._pictures.append(sum(values.values()) / len(values))

    def score(self) -> float | None:
        """Return the mean over the pictures; None if none has a boundary."""
        return _mean(self._pictures)

    def of_class(self) -> dict[str, float | None]:
        """Return each class's mean over the pictures where it has a boundary, in truth or prediction."""
        return {name: _mean(values) for name, values in zip(self.classes.names, self._of_class, strict=True)}


def _edges(class_map: NDArray[np.uint8], judged: Pixels) -> Pixels:
    """Return the judged pixels with a judged neighbour of another class."""
    edges = np.zeros(class_map.shape, bool)
    for one, other in (
        (np.s_[:, :-1], np.s_[:, 1:]),
        (np.s_[:-1], np.s_[1:]),
    ):
        differ = (class_map[one] != class_map[other]) & judged[one] & judged[other]
        edges[one] |= differ
        edges[other] |= differ
    return edges


def _f1(truth: Pixels, predicted: Pixels, reach: float) -> float:
    x, y, width, height = cv2.boundingRect((truth | predicted).astype(np.uint8))  # a distance costs time by the pixel
    truth, predicted = truth[y : y + height, x : x + width], predicted[y : y + height, x : x + width]
    precision, recall = _share_near(predicted, truth, reach), _share_near(truth, predicted, reach)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _share_near(pixels: Pixels, others: Pixels, reach: float) -> float:
    """Return the share of `pixels` within `reach` of one of `others`; 0 if either is empty."""
    count = int(pixels.sum())
    if not count or not others.any():
        return 0.0
    distance = cv2.distanceTransform((~others).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float((distance[pixels] <= reach).sum() / count)


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
