"""Two models on the same pictures: whether an earlier evaluation can be compared with this one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgeseg.core.errors import UsageError
from edgeseg.core.json_text import read_json
from edgeseg.core.labels import ClassMap
from edgeseg.core.metrics import Scores
from edgeseg.data.base import Sample
from edgeseg.evaluation.intervals import Units, caution, difference

_EXPECTED = "what edgeseg evaluate --json FILE wrote: evaluate that model again"


def read_earlier(path: Path, classes: ClassMap, samples: Sequence[Sample]) -> Scores:
    """Return the scores that an evaluation, or a training run, left; before the pictures are predicted.

    Args:
        path: scores.json.
        classes: of this evaluation.
        samples: of this evaluation. The last parts of their names are compared: the data may lie elsewhere now.

    Raises:
        UsageError: it cannot be read, has no counts by picture, or is of other classes or pictures.
    """
    try:
        scores = Scores.from_document(read_json(path, _EXPECTED))
        scores.counts()
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise UsageError(f"{path}: no scores to compare with ({error}); expected {_EXPECTED}") from error
    if tuple(scores.iou) != classes.names:
        raise UsageError(
            f"{path} has the classes {', '.join(scores.iou)}, this data {', '.join(classes.names)}; expected the "
            f"same: evaluate both models with one --data and --classes"
        )
    known = {Path(sample.name).name for sample in samples}
    stranger = next((each.name for each in scores.pictures if Path(each.name).name not in known), None)
    if stranger is not None or scores.images != len(samples):
        raise _other_pictures(path, scores.images, f"{stranger} among them" if stranger else "", len(samples))
    return scores


def compare(scores: Scores, path: Path, earlier: Scores, units: Units) -> str:
    """Return on one line by how much mean IoU is above or below an earlier one, and whether that tells anything.

    Args:
        scores: with intervals.
        path, earlier: of `read_earlier`.
        units: of `scores.pictures`.

    Raises:
        UsageError: the labelled pixels are others.
    """
    labelled, labelled_then = scores.counts()[:, 1], earlier.counts()[:, 1]
    if len(labelled) != len(labelled_then):
        raise _other_pictures(path, len(labelled_then), "with labels", len(labelled))
    for picture, other, same in zip(
        scores.pictures, earlier.pictures, np.all(labelled == labelled_then, axis=1), strict=True
    ):
        if not same or Path(picture.name).name != Path(other.name).name:
            raise UsageError(
                f"{path}: the labelled pixels of {other.name} are not those of {picture.name} here; expected the "
                f"same: evaluate both models with one --data, and with the same crop"
            )
    if not len(labelled):
        return f"no labelled pixel to compare with {path} on"
    value, (low, high) = difference(scores, earlier, units)
    tells = "0 is in it, these pictures do not tell which is better" if low <= 0 <= high else "0 is not in it"
    wrong = caution(scores.intervals) if scores.intervals else ""
    return (
        f"mean IoU {value:+.4f} [{low:+.3f}, {high:+.3f}] against {earlier.miou:.4f} of {path}: {tells}"
        f"{wrong and f'; {wrong}'}"
    )


def _other_pictures(path: Path, then: int, which: str, now: int) -> UsageError:
    return UsageError(
        f"{path} is of {then} pictures{f', {which},' if which else ''} and this evaluation of {now}; expected the same "
        f"ones: evaluate both models with one --data and --split"
    )
