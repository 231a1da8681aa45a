"""What a run or an evaluation leaves to look at: curves, confusion matrix, pictures, and one page with them all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.data.augment import Augmentation
from edgeseg.data.base import Image, Sample
from edgeseg.data.preview import spread
from edgeseg.evaluate import evaluate, predicted_class_map
from edgeseg.files import printable, replace_whole, write_whole
from edgeseg.geometry import Size
from edgeseg.labels import ClassMap
from edgeseg.metrics import PictureScore, Scores
from edgeseg.overlay import colourise
from edgeseg.plots import Row, draw_confusion, draw_curves, draw_preview
from edgeseg.predictors import Predictor, load_predictor
from edgeseg.report_page import Page, Percent, Share
from edgeseg.run_directory import Epoch, RunDirectory
from edgeseg.settings import TrainSettings
from edgeseg.spec import ModelSpec

PREVIEW_PICTURES = 4
WORST_PICTURES = 6
WORST_LISTED = 20
SNAPSHOTS = 3
SNAPSHOT_WIDTH = 256  # pixels of each of a snapshot's three columns


def write_run_report(run: RunDirectory, history: Sequence[Epoch], samples: Sequence[Sample]) -> None:
    """Write a run's curves.png, confusion.png, preview.png, worst.png and report.html.

    The pictures show what the best model, read back from its file, makes of the val split.

    Args:
        run: has a model; what it reached is read from scores.json, or measured where that is missing.
        history: at least one epoch.
        samples: the val split.

    Raises:
        ModelError: the run's model cannot be read.
        DataError: a picture cannot be read.
        UsageError: a file cannot be written.
    """
    replace_whole(run.curves, lambda path: draw_curves(history, path))
    with load_predictor(run.path) as predictor:
        classes = predictor.spec.classes
        kept = run.read_scores()
        if kept is None or tuple(kept[0].iou) != classes.names:
            kept = evaluate(predictor, samples, classes), np.zeros(len(classes))
        scores, train_shares = kept
        replace_whole(run.confusion, lambda path: draw_confusion(scores.confusion, classes, path))
        draw_rows(predictor, [(sample.name, sample) for sample in spread(samples, PREVIEW_PICTURES)], run.preview)
        has_worst = draw_worst(predictor, scores, samples, run.worst)
        spec = predictor.spec

    best = max(history, key=lambda epoch: epoch.miou)
    page = Page(f"{spec.name}: mean IoU {scores.miou:.3f} on val")
    page.text(f"{run.path.absolute().name}: the best of {len(history)} validated epochs is number {best.epoch}")
    _add_scores(page, scores)
    page.heading("Training")
    page.picture(run.curves, "loss and validation scores over the epochs")
    page.heading("Classes")
    shares = [("share in train", train_shares)] if train_shares.any() else []
    _add_classes(page, scores, classes, [*shares, ("share in val", scores.shares())])
    page.picture(run.confusion, "confusion matrix")
    page.heading("Pictures from all over val")
    page.picture(run.preview, "image, labels, prediction", photographic=True)
    _add_worst(page, scores, run.worst if has_worst else None)
    page.heading("Settings")
    page.table(("setting", "value"), _settings(run.settings()))
    _add_model(page, spec)
    write_whole(run.report, printable(page.html()))


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
    _add_scores(page, scores)
    page.heading("Classes")
    _add_classes(page, scores, classes, [("share of labels", scores.shares())])
    page.picture(confusion, "confusion matrix")
    _add_worst(page, scores, worst if has_worst else None)
    page.heading("Evaluation")
    page.table(("", ""), about)
    _add_model(page, predictor.spec)
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
    rows = _rows(predictor, [(Path(title).name, sample) for title, sample in titled])
    replace_whole(path, lambda partial: draw_preview(rows, predictor.spec.classes, partial, errors))


def snapshots(predictor: Predictor, samples: Sequence[Sample]) -> dict[str, Image]:
    """Return a few fixed samples as small pictures (h, w, 3) uint8 BGR: image, labels, prediction, side by side."""
    classes = predictor.spec.classes
    shown = {}
    for row in _rows(predictor, [(Path(sample.name).stem, sample) for sample in spread(samples, SNAPSHOTS)]):
        parts = (row.image, colourise(row.truth, classes), colourise(row.predicted, classes))
        height = max(1, round(SNAPSHOT_WIDTH * row.truth.shape[0] / row.truth.shape[1]))
        ways = (cv2.INTER_AREA, cv2.INTER_NEAREST, cv2.INTER_NEAREST)
        small = [
            cv2.resize(part, (SNAPSHOT_WIDTH, height), interpolation=way) for part, way in zip(parts, ways, strict=True)
        ]
        shown[f"prediction/{row.title}"] = np.hstack(small).astype(np.uint8)
    return shown


def class_scalars(scores: Scores) -> dict[str, float]:
    """Return the IoU of each class that occurs, by the name that TensorBoard groups it under."""
    return {f"iou/{name}": value for name, value in scores.iou.items() if value is not None}


def _rows(predictor: Predictor, titled: Sequence[tuple[str, Sample]]) -> list[Row]:
    read = [sample.read() for _, sample in titled]
    class_maps = predictor.predict([image for image, _ in read])
    return [
        Row(title, image, truth, predicted_class_map(predictor, Size(*truth.shape), class_map))
        for (title, _), (image, truth), class_map in zip(titled, read, class_maps, strict=True)
    ]


def _worst_title(score: PictureScore) -> str:
    return f"{Path(score.name).name}, mean IoU {score.miou:.3f}"


def _add_scores(page: Page, scores: Scores) -> None:
    figures = [
        ("mean IoU", scores.miou),
        ("frequency-weighted IoU", scores.frequency_weighted_iou),
        ("pixel accuracy", scores.pixel_accuracy),
        ("boundary F1", scores.boundary_f1),
    ]
    shown = [(name, f"{value:.3f}") for name, value in figures if value is not None]
    page.figures([*shown, ("pictures", str(scores.images))])


def _add_classes(
    page: Page, scores: Scores, classes: ClassMap, shares: Sequence[tuple[str, NDArray[np.float64]]]
) -> None:
    columns: list[tuple[str, list[str | float | None]]] = [
        ("class", [*scores.iou]),
        ("IoU", [None if value is None else Share(value) for value in scores.iou.values()]),
    ]
    if scores.boundary_f1_of_class:
        values = scores.boundary_f1_of_class.values()
        columns.append(("boundary F1", [None if value is None else Share(value) for value in values]))
    columns += [(name, [Percent(share) for share in column]) for name, column in shares]
    page.table([name for name, _ in columns], zip(*(cells for _, cells in columns), strict=True), classes.colours)
    page.text("A dash: the class occurs neither in the labels nor in a prediction, and counts in no mean.")


def _add_worst(page: Page, scores: Scores, picture: Path | None) -> None:
    if not picture:
        return
    page.heading("The worst pictures")
    page.picture(picture, "image, labels, prediction, wrong pixels in red", photographic=True)
    page.table(
        ("mean IoU", "accuracy", "picture"),
        [(Share(each.miou), Share(each.pixel_accuracy), each.name) for each in scores.worst(WORST_LISTED)],
    )


def _settings(settings: TrainSettings) -> list[tuple[str, str]]:
    pairs = [(each.name, getattr(settings, each.name)) for each in fields(settings) if each.name != "augmentation"]
    pairs += [(each.name, getattr(settings.augmentation, each.name)) for each in fields(Augmentation)]
    return [(name, "–" if value is None else str(value)) for name, value in pairs]  # noqa: RUF001  (a dash)


def _add_model(page: Page, spec: ModelSpec) -> None:
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
