"""Mean IoU and its relatives, from one confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeseg.labels import ClassMap


@dataclass(frozen=True)
class Scores:
    """What a confusion matrix says.

    Attributes:
        miou: mean over the classes that occur in truth or prediction; 0 if none does.
        pixel_accuracy: share of the labelled pixels that are right.
        iou: intersection over union by class name; None for a class that occurs in neither.
        images: how many pictures were counted.
    """

    miou: float
    pixel_accuracy: float
    iou: dict[str, float | None]
    images: int


class ConfusionMatrix:
    """Counts pixels by true and predicted class; ignored pixels of the truth are left out.

    IoU as in PASCAL VOC (Everingham et al. 2010): true positives over the union of truth and prediction.
    """

    def __init__(self, classes: ClassMap) -> None:
        self.classes = classes
        self.counts: NDArray[np.int64] = np.zeros((len(classes), len(classes)), np.int64)
        self.images = 0

    def add(self, truth: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> None:
        """Count one picture: both (H, W) uint8. Raises ValueError if the shapes differ or an id is out of range."""
        if truth.shape != predicted.shape:
            raise ValueError(f"truth is {truth.shape}, prediction {predicted.shape}; expected equal shapes")
        n = len(self.classes)
        labelled = truth != self.classes.ignore_index
        pairs = truth[labelled].astype(np.int64) * n + predicted[labelled]
        if pairs.size and (int(truth[labelled].max()) >= n or int(predicted[labelled].max()) >= n):
            raise ValueError(f"a class id is outside 0 to {n - 1}")
        self.counts += np.bincount(pairs, minlength=n * n).reshape(n, n)
        self.images += 1

    def scores(self) -> Scores:
        right = np.diag(self.counts)
        union = self.counts.sum(0) + self.counts.sum(1) - right
        iou = {name: float(right[i] / union[i]) if union[i] else None for i, name in enumerate(self.classes.names)}
        occurring = [value for value in iou.values() if value is not None]
        total = int(self.counts.sum())
        return Scores(
            miou=sum(occurring) / len(occurring) if occurring else 0.0,
            pixel_accuracy=float(right.sum() / total) if total else 0.0,
            iou=iou,
            images=self.images,
        )
