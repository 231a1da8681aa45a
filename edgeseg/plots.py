"""Pictures of a training run: curves.png and preview.png. No pyplot, so no display and no global state."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from edgeseg.data.base import Image, Mask
from edgeseg.labels import ClassMap
from edgeseg.overlay import colourise
from edgeseg.run_directory import Epoch

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it announces the building of its font cache

PREVIEW_COLUMN_INCHES = 4.0
DOTS_PER_INCH = 100


def draw_curves(epochs: Sequence[Epoch], path: Path) -> None:
    """Write loss and validation scores over the epochs as a PNG."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    numbers = [epoch.epoch for epoch in epochs]
    left.plot(numbers, [epoch.loss for epoch in epochs], marker=".", color="tab:red")
    left.set(title="Training loss", xlabel="epoch", ylim=(0, None))
    right.plot(numbers, [epoch.miou for epoch in epochs], marker=".", label="mean IoU")
    right.plot(numbers, [epoch.pixel_accuracy for epoch in epochs], marker=".", label="pixel accuracy")
    right.set(title="Validation", xlabel="epoch", ylim=(0, 1))
    right.legend(loc="lower right")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.savefig(path, dpi=DOTS_PER_INCH)


def draw_preview(rows: Sequence[tuple[Image, Mask, Mask]], classes: ClassMap, path: Path) -> None:
    """Write a PNG of image, truth and prediction, a row each picture, with a legend of the classes.

    Args:
        rows: (H, W, 3) uint8 BGR picture, (H, W) uint8 labels, (H, W) uint8 prediction; unlabelled pixels are black.
        classes: names and colours.
        path: where to.
    """
    height, width = rows[0][1].shape
    row_inches = PREVIEW_COLUMN_INCHES * height / width
    figure = Figure(figsize=(3 * PREVIEW_COLUMN_INCHES, row_inches * len(rows) + 1.1), layout="constrained")
    for axes_row, (image, truth, predicted) in zip(figure.subplots(len(rows), 3, squeeze=False), rows, strict=True):
        pictures = (image, colourise(truth, classes), colourise(predicted, classes))
        for axes, picture, title in zip(axes_row, pictures, ("image", "labels", "prediction"), strict=True):
            axes.imshow(picture[:, :, ::-1])
            axes.set_axis_off()
            if axes_row[0].get_subplotspec().is_first_row():
                axes.set_title(title)
    patches = [
        Patch(facecolor=[channel / 255 for channel in colour], edgecolor="black", linewidth=0.5, label=name)
        for name, colour in zip(classes.names, classes.colours, strict=True)
    ]
    figure.legend(handles=patches, loc="outside lower center", ncols=min(8, len(patches)), frameon=False)
    figure.savefig(path, dpi=DOTS_PER_INCH)
