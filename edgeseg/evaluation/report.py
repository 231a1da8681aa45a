"""What an evaluation leaves to look at: confusion matrix, pictures, and one page with them all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.files import printable, replace_whole, write_whole
from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.core.metrics import PictureScore, Scores
from edgeseg.core.spec import ModelSpec
from edgeseg.data.base import Sample
from edgeseg.drawing.page import Page, Percent, Share
from edgeseg.evaluation.evaluate import predicted_class_map
from edgeseg.evaluation.intervals import brackets, describe, percent
from edgeseg.evaluation.predictors import Predictor
from edgeseg.figures.plots import Row, draw_confusion, draw_preview

PREVIEW_PICTURES = 4
WORST_PICTURES = 6
WORST_LISTED = 20


def write_evaluation_report(
    out: Path, predictor: Predictor, scores: Scores, samples: Sequence[Sample], about: Iterable[tuple[str, str]]
) -> None:
    """Write confusion.png, worst.png and report.html of an evaluation into `out`.

    Args:
        out: a folder; made if it is not there.
        predictor: the model that was evaluated.
        scores: what it reached.
        samples: on which.
        about: name and value of what the page says of the evaluation itself.
    """
    classes, confusion, worst = predictor.spec.classes, out / "confusion.png", out / "worst.png"
    replace_whole(confusion, lambda path: draw_confusion(scores.confusion, classes, path))
    has_worst = draw_worst(predictor, scores, samples, worst)
    page = Page(f"{predictor.spec.name}: mean IoU {scores.miou:.3f}")
    add_scores(page, scores)
    page.heading("Classes")
    add_classes(page, scores, classes, [("share of labels", scores.shares())])
    page.picture(confusion, "confusion matrix")
    add_worst(page, scores, worst if has_worst else None)
    page.heading("Evaluation")
    page.table(("", ""), about)
    add_model(page, predictor.spec)
    write_whole(out / "report.html", printable(page.html()))


def draw_worst(predictor: Predictor, scores: Scores, samples: Sequence[Sample], path: Path) -> bool:
    """Write a PNG of the pictures with the lowest mean IoU; return whether there are any."""
    by_name = {sample.name: sample for sample in samples}
    worst = [(each, by_name[each.name]) for each in scores.worst(WORST_PICTURES) if each.name in by_name]
    if worst:
        draw_rows(predictor, [(_worst_title(score), sample) for score, sample in worst], path, errors=True)
    return bool(worst)


def draw_rows(predictor: Predictor, titled: Sequence[tuple[str, Sample]], path: Path, errors: bool = False) -> None:
    """Write a PNG of samples (title, sample), their labels and what a model predicts."""
    rows = sample_rows(predictor, [(Path(title).name, sample) for title, sample in titled])
    replace_whole(path, lambda partial: draw_preview(rows, predictor.spec.classes, partial, errors))


def sample_rows(predictor: Predictor, titled: Sequence[tuple[str, Sample]]) -> list[Row]:
    """Return each sample (title, sample) with its labels and what a model predicts, at the labels' own size."""
    read = [sample.read() for _, sample in titled]
    class_maps = predictor.predict([image for image, _ in read])
    return [
        Row(title, image, truth, predicted_class_map(predictor, Size(*truth.shape), class_map))
        for (title, _), (image, truth), class_map in zip(titled, read, class_maps, strict=True)
    ]


def _worst_title(score: PictureScore) -> str:
    return f"{Path(score.name).name}, mean IoU {score.miou:.3f}"


def add_scores(page: Page, scores: Scores) -> None:
    """Put the means of an evaluation at the top of a page, and what the interval of mean IoU is over."""
    intervals = scores.intervals
    figures = [
        (f"mean IoU {brackets(intervals.miou)}" if intervals else "mean IoU", scores.miou),
        ("frequency-weighted IoU", scores.frequency_weighted_iou),
        ("pixel accuracy", scores.pixel_accuracy),
        ("boundary F1", scores.boundary_f1),
    ]
    shown = [(name, f"{value:.3f}") for name, value in figures if value is not None]
    page.figures([*shown, ("pictures", str(scores.images))])
    if intervals:
        page.text(describe(intervals))


def add_classes(
    page: Page, scores: Scores, classes: ClassMap, shares: Sequence[tuple[str, NDArray[np.float64]]]
) -> None:
    """Add a table of the classes: IoU, what else was measured, and shares (name, (classes,) from 0 to 1)."""
    columns: list[tuple[str, list[str | float | None]]] = [
        ("class", [*scores.iou]),
        ("IoU", [None if value is None else Share(value) for value in scores.iou.values()]),
    ]
    if scores.intervals:
        ends = scores.intervals.iou.values()
        columns.append((percent(scores.intervals.level), [brackets(each) if each else None for each in ends]))
    if scores.boundary_f1_of_class:
        values = scores.boundary_f1_of_class.values()
        columns.append(("boundary F1", [None if value is None else Share(value) for value in values]))
    columns += [(name, [Percent(share) for share in column]) for name, column in shares]
    page.table([name for name, _ in columns], zip(*(cells for _, cells in columns), strict=True), classes.colours)
    page.text("A dash: the class occurs neither in the labels nor in a prediction, and counts in no mean.")
    if scores.intervals:
        page.text("A dash for an interval alone: the class is in one drive or picture only, which tells no spread.")


def add_worst(page: Page, scores: Scores, picture: Path | None) -> None:
    """Add the worst pictures and their scores, if there are any."""
    if not picture:
        return
    page.heading("The worst pictures")
    page.picture(picture, "image, labels, prediction, wrong pixels in red", photographic=True)
    page.table(
        ("mean IoU", "accuracy", "picture"),
        [(Share(each.miou), Share(each.pixel_accuracy), each.name) for each in scores.worst(WORST_LISTED)],
    )


def add_model(page: Page, spec: ModelSpec) -> None:
    """Add what a model is, and what it was made with."""
    page.heading("Model and versions")
    page.table(
        ("", ""),
        [
            ("model", f"{spec.architecture}, encoder {spec.encoder}"),
            ("network input", f"{spec.input_size}, {spec.fit}"),
            ("precision", spec.precision),
            ("trained on", spec.trained_on or "not said"),
            *spec.versions.items(),
        ],
    )
