"""Mean IoU and its relatives, from one confusion matrix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.labels import ClassMap


@dataclass(frozen=True)
class PictureScore:
    """How right one picture is: mean IoU over its own classes, and the share of its labelled pixels that are right.

    `counts` has a row for each of its classes: class id, and how many pixels are right, labelled and predicted so. All
    of IoU is in them, in a fraction of a confusion matrix; () where they were not kept.
    """

    name: str
    miou: float
    pixel_accuracy: float
    counts: tuple[tuple[int, int, int, int], ...] = ()


Interval = tuple[float, float]
"""Its two ends."""


@dataclass(frozen=True)
class Intervals:
    """Where mean IoU and IoU would lie with other pictures: see edgeseg.evaluation.intervals.

    Attributes:
        over: what was drawn anew, "drives" or "pictures".
        drives, pictures: how many there are, of the pictures with a labelled pixel.
        level: share of the resamples within an interval.
        resamples: how many were drawn.
        miou: of mean IoU.
        iou: by class name; None for a class that occurs in fewer than two drives or pictures, which tell no spread.
    """

    over: str
    drives: int
    pictures: int
    level: float
    resamples: int
    miou: Interval
    iou: Mapping[str, Interval | None]


@dataclass(frozen=True)
class Scores:
    """What a confusion matrix says.

    Attributes:
        miou: mean over the classes that occur in truth or prediction; 0 if none does.
        pixel_accuracy: share of the labelled pixels that are right.
        iou: intersection over union by class name; None for a class that occurs in neither.
        images: how many pictures were counted.
        frequency_weighted_iou: IoU weighted by the class's share of the labelled pixels (Long et al. 2015).
        confusion: pixels, a row each true class, a column each predicted one.
        pictures: each picture that has a labelled pixel, in the order of the split.
        boundary_f1: see edgeseg.evaluation.boundary; None where it was not measured or there is no boundary.
        boundary_f1_of_class: the same by class name.
        intervals: None where they were not asked for.
    """

    miou: float
    pixel_accuracy: float
    iou: dict[str, float | None]
    images: int
    frequency_weighted_iou: float = 0.0
    confusion: tuple[tuple[int, ...], ...] = ()
    pictures: tuple[PictureScore, ...] = ()
    boundary_f1: float | None = None
    boundary_f1_of_class: Mapping[str, float | None] | None = None
    intervals: Intervals | None = None

    def shares(self) -> NDArray[np.float64]:
        """Return each class's share of the labelled pixels, (classes,) float64; zeros if nothing is labelled."""
        pixels = np.array(self.confusion, np.float64).sum(axis=1)
        shares: NDArray[np.float64] = pixels / max(1.0, pixels.sum())
        return shares

    def counts(self) -> NDArray[np.int64]:
        """Return right, labelled and predicted pixels of each picture and class, (pictures, 3, classes) int64.

        Raises:
            ValueError: they were not kept.
            IndexError: they are of other classes.
        """
        if not all(each.counts for each in self.pictures):
            raise ValueError("no counts by picture")
        counts = np.zeros((len(self.pictures), 3, len(self.iou)), np.int64)
        for picture, each in zip(counts, self.pictures, strict=True):
            index, *columns = np.array(each.counts, np.int64).T
            picture[:, index] = columns
        return counts

    def worst(self, count: int) -> list[PictureScore]:
        """Return the pictures with the lowest mean IoU, the worst first."""
        return sorted(self.pictures, key=lambda each: each.miou)[:count]

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Scores:
        """Read what `dataclasses.asdict` made and JSON kept, and what earlier versions did, without the later fields.

        Raises KeyError or TypeError for anything else.
        """
        later = {"intervals": None}
        values = {each.name: {**later, **document}[each.name] for each in fields(cls)}
        values["confusion"] = _rows(values["confusion"])
        values["pictures"] = tuple(
            PictureScore(**{**each, "counts": _rows(each.get("counts", ()))}) for each in values["pictures"]
        )
        if values["intervals"] is not None:
            values["intervals"] = _intervals_from(values["intervals"])
        return cls(**values)


class ConfusionMatrix:
    """Counts pixels by true and predicted class; ignored pixels of the truth are left out.

    IoU as in PASCAL VOC (Everingham et al. 2010): true positives over the union of truth and prediction.

    Args:
        classes: of both.
        by_picture: keep each picture's counts, some 2 kB a picture of ten classes.
    """

    def __init__(self, classes: ClassMap, by_picture: bool = False) -> None:
        self.classes = classes
        self.by_picture = by_picture
        self.counts: NDArray[np.int64] = np.zeros((len(classes), len(classes)), np.int64)
        self.images = 0
        self.pictures: list[PictureScore] = []

    def add(self, truth: NDArray[np.uint8], predicted: NDArray[np.uint8], name: str = "") -> None:
        """Count one picture: both (H, W) uint8. Raises ValueError if the shapes differ or an id is out of range."""
        if truth.shape != predicted.shape:
            raise ValueError(f"truth is {truth.shape}, prediction {predicted.shape}; expected equal shapes")
        n = len(self.classes)
        labelled = truth != self.classes.ignore_index
        pairs = truth[labelled].astype(np.int64) * n + predicted[labelled]
        if pairs.size and (int(truth[labelled].max()) >= n or int(predicted[labelled].max()) >= n):
            raise ValueError(f"a class id is outside 0 to {n - 1}")
        counts = np.bincount(pairs, minlength=n * n).reshape(n, n)
        self.counts += counts
        self.images += 1
        if pairs.size:
            self.pictures.append(PictureScore(name, *_means(counts), _sparse(counts) if self.by_picture else ()))

    def scores(self) -> Scores:
        miou, pixel_accuracy = _means(self.counts)
        iou = _iou(self.counts)
        truth = self.counts.sum(axis=1)
        return Scores(
            miou=miou,
            pixel_accuracy=pixel_accuracy,
            iou={
                name: None if np.isnan(value) else float(value)
                for name, value in zip(self.classes.names, iou, strict=True)
            },
            images=self.images,
            frequency_weighted_iou=float((truth * np.nan_to_num(iou)).sum() / max(1, truth.sum())),
            confusion=tuple(tuple(map(int, row)) for row in self.counts),
            pictures=tuple(self.pictures),
        )


def _sparse(counts: NDArray[np.int64]) -> tuple[tuple[int, int, int, int], ...]:
    """Return the rows of `PictureScore.counts` of one picture's confusion matrix."""
    columns = np.stack([np.arange(len(counts)), np.diag(counts), counts.sum(1), counts.sum(0)])
    return _rows(columns[:, columns[2:].any(axis=0)].T.tolist())


def _rows(table: Iterable[Iterable[Any]]) -> tuple[Any, ...]:
    return tuple(tuple(map(int, row)) for row in table)


def _intervals_from(document: Mapping[str, Any]) -> Intervals:
    iou = {name: ends and (float(ends[0]), float(ends[1])) for name, ends in document["iou"].items()}
    low, high = document["miou"]
    return Intervals(**{**document, "miou": (float(low), float(high)), "iou": iou})


def _iou(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return IoU by class; nan for a class that occurs neither in truth nor in prediction."""
    right = np.diag(counts).astype(np.float64)
    union = counts.sum(0) + counts.sum(1) - right
    iou: NDArray[np.float64] = np.divide(right, union, out=np.full(len(counts), np.nan), where=union > 0)
    return iou


def _means(counts: NDArray[np.int64]) -> tuple[float, float]:
    """Return mean IoU over the classes that occur, and pixel accuracy."""
    iou = _iou(counts)
    occurring = iou[~np.isnan(iou)]
    total = int(counts.sum())
    return (float(occurring.mean()) if occurring.size else 0.0, float(np.diag(counts).sum() / total) if total else 0.0)
