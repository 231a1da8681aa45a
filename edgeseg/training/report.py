"""What a run leaves to look at: curves, confusion matrix, pictures, and one page with them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from edgeseg.core.files import printable, replace_whole, write_whole
from edgeseg.core.metrics import Scores
from edgeseg.data.base import Image, Sample
from edgeseg.data.feeding.augment import Augmentation
from edgeseg.data.feeding.preview import spread
from edgeseg.drawing.overlay import colourise
from edgeseg.drawing.page import Page
from edgeseg.evaluation.evaluate import evaluate
from edgeseg.evaluation.predictors import Predictor, load_predictor
from edgeseg.evaluation.report import (
    PREVIEW_PICTURES,
    add_classes,
    add_model,
    add_scores,
    add_worst,
    draw_rows,
    draw_worst,
    sample_rows,
)
from edgeseg.figures.plots import DOTS_PER_INCH, draw_confusion
from edgeseg.training.run_directory import Epoch, RunDirectory
from edgeseg.training.settings import TrainSettings

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
    add_scores(page, scores)
    page.heading("Training")
    page.picture(run.curves, "loss and validation scores over the epochs")
    page.heading("Classes")
    shares = [("share in train", train_shares)] if train_shares.any() else []
    add_classes(page, scores, classes, [*shares, ("share in val", scores.shares())])
    page.picture(run.confusion, "confusion matrix")
    page.heading("Pictures from all over val")
    page.picture(run.preview, "image, labels, prediction", photographic=True)
    add_worst(page, scores, run.worst if has_worst else None)
    page.heading("Settings")
    page.table(("setting", "value"), _settings(run.settings()))
    add_model(page, spec)
    write_whole(run.report, printable(page.html()))


def snapshots(predictor: Predictor, samples: Sequence[Sample]) -> dict[str, Image]:
    """Return a few fixed samples as small pictures (h, w, 3) uint8 BGR: image, labels, prediction, side by side."""
    classes = predictor.spec.classes
    shown = {}
    for row in sample_rows(predictor, [(Path(sample.name).stem, sample) for sample in spread(samples, SNAPSHOTS)]):
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


def _settings(settings: TrainSettings) -> list[tuple[str, str]]:
    pairs = [(each.name, getattr(settings, each.name)) for each in fields(settings) if each.name != "augmentation"]
    pairs += [(each.name, getattr(settings.augmentation, each.name)) for each in fields(Augmentation)]
    return [(name, "–" if value is None else str(value)) for name, value in pairs]  # noqa: RUF001  (a dash)


def draw_curves(epochs: Sequence[Epoch], path: Path) -> None:
    """Write loss and validation scores over the steps as a PNG."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = [epoch.step for epoch in epochs]
    left.plot(steps, [epoch.loss for epoch in epochs], marker=".", color="tab:red")
    left.set(title="Training loss", xlabel="step", ylim=(0, None))
    right.plot(steps, [epoch.miou for epoch in epochs], marker=".", label="mean IoU")
    right.plot(steps, [epoch.pixel_accuracy for epoch in epochs], marker=".", label="pixel accuracy")
    right.set(title="Validation", xlabel="step", ylim=(0, 1))
    right.legend(loc="lower right")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.savefig(path, dpi=DOTS_PER_INCH)
