"""Pictures of training, evaluation and prediction. No pyplot, so no display and no global state."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from edgeseg.core.files import printable
from edgeseg.core.labels import ClassMap
from edgeseg.data.base import Image, Mask
from edgeseg.drawing.overlay import colourise

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it announces the building of its font cache
warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from", UserWarning)  # names in any script: a box stands there

PREVIEW_COLUMN_INCHES = 4.0
CONTACT_COLUMN_INCHES = 3.2
LEGEND_COLUMN_INCHES = 2.4
LEGEND_ROW_INCHES = 0.24
TITLE_INCHES = 0.45
GAP_INCHES = 0.12
DOTS_PER_INCH = 100
NUMBERED_CLASSES = 40  # with more, the shares no longer fit into the cells of a confusion matrix
WRONG = (40, 40, 255)  # BGR
NOT_LABELLED = "not labelled"


class Row(NamedTuple):
    """A labelled picture and what a model makes of it.

    Attributes:
        title: above the picture.
        image: (H, W, 3) uint8, BGR.
        truth, predicted: (H, W) uint8 class maps; what is ignored is black.
    """

    title: str
    image: Image
    truth: Mask
    predicted: Mask


def draw_confusion(confusion: Sequence[Sequence[int]], classes: ClassMap, path: Path) -> None:
    """Write a confusion matrix as a PNG: of each true class (a row), the percentage predicted as each class.

    Rows without a pixel are blank.
    """
    counts = np.array(confusion, np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)
    side = max(5.0, 0.48 * len(classes) + 2)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [_shortened(name) for name in classes.names]
    axes.set_xticks(range(len(classes)), names, rotation=45, ha="right", rotation_mode="anchor", parse_math=False)
    axes.set_yticks(range(len(classes)), names, parse_math=False)
    axes.set(xlabel="predicted", ylabel="labelled", title="of each labelled class, % predicted as")
    if len(classes) <= NUMBERED_CLASSES:
        for row, column in np.argwhere(shares >= 0.005):
            share = shares[row, column]
            colour = "white" if share > 0.55 else "black"
            axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=8, color=colour)
    figure.savefig(path, dpi=DOTS_PER_INCH)


def draw_preview(rows: Sequence[Row], classes: ClassMap, path: Path, errors: bool = False) -> None:
    """Write a PNG of image, labels and prediction, a row each picture; with `errors`, also of what is wrong."""
    titles = ("", "labels", "prediction", "wrong pixels")[: 4 if errors else 3]
    tallest = max(row.truth.shape[0] / row.truth.shape[1] for row in rows)
    figure, grid = picture_grid(len(rows), len(titles), PREVIEW_COLUMN_INCHES, tallest, legend(classes))
    cells = iter(grid)
    for row in rows:
        pictures = [row.image, colourise(row.truth, classes), colourise(row.predicted, classes)]
        if errors:
            pictures.append(_wrong(row, classes))
        for title, picture in zip(titles, pictures, strict=True):
            show_picture(next(cells), picture, title or row.title)
    figure.savefig(path, dpi=DOTS_PER_INCH)


def draw_contact_sheet(pictures: Sequence[tuple[str, Image]], classes: ClassMap, path: Path) -> None:
    """Write a PNG of small pictures, each (title, (H, W, 3) uint8 BGR), with the legend of the classes."""
    columns = min(4, len(pictures))
    tallest = max(image.shape[0] / image.shape[1] for _, image in pictures)
    figure, grid = picture_grid(-(-len(pictures) // columns), columns, CONTACT_COLUMN_INCHES, tallest, legend(classes))
    for axes, (title, image) in zip(grid, pictures, strict=False):
        show_picture(axes, image, title)
    figure.savefig(path, dpi=DOTS_PER_INCH)


def legend(classes: ClassMap, notes: Sequence[str] = ()) -> list[Patch]:
    """Return a patch for each class, named with its note, and one for what is not labelled."""
    labels = [f"{name}  {note}" for name, note in zip(classes.names, notes, strict=True)] if notes else classes.names
    entries = [*zip(labels, classes.colours, strict=True), (NOT_LABELLED, (0, 0, 0))]
    return [
        Patch(facecolor=[channel / 255 for channel in colour], edgecolor="black", linewidth=0.5, label=_literal(label))
        for label, colour in entries
    ]


def picture_grid(
    rows: int, columns: int, column_inches: float, aspect: float, patches: Sequence[Patch]
) -> tuple[Figure, list[Axes]]:
    """Return a figure with room for `rows` x `columns` pictures of `aspect` (height / width), and a legend below.

    Laid out here: Matplotlib's own layout measures every picture several times, which takes seconds.
    """
    width = max(2, columns) * column_inches
    legend_columns = max(1, min(len(patches), int(width / LEGEND_COLUMN_INCHES)))
    legend_inches = LEGEND_ROW_INCHES * -(-len(patches) // legend_columns) + 0.2
    row_inches = column_inches * aspect + TITLE_INCHES
    height = rows * row_inches + legend_inches
    figure = Figure(figsize=(width, height))
    left = (width - columns * column_inches + GAP_INCHES) / 2
    sides = ((column_inches - GAP_INCHES) / width, (column_inches - GAP_INCHES) * aspect / height)
    grid = []
    for row, column in np.ndindex(rows, columns):
        corner = ((left + column * column_inches) / width, 1 - ((row + 1) * row_inches - GAP_INCHES / 2) / height)
        grid.append(figure.add_axes((*corner, *sides)))
        grid[-1].set_axis_off()
    figure.legend(handles=list(patches), loc="lower center", ncols=legend_columns, frameon=False)
    return figure, grid


def show_picture(axes: Axes, picture: Image, title: str) -> None:
    """Show a (H, W, 3) uint8 BGR picture under its title."""
    axes.imshow(picture[:, :, ::-1], interpolation="nearest" if picture.shape[1] < 300 else "antialiased")
    axes.set_title(printable(title), fontsize=9, parse_math=False)


def _wrong(row: Row, classes: ClassMap) -> Image:
    """The picture, dim and grey, with the labelled pixels that are wrong in red."""
    grey = row.image.mean(axis=2, keepdims=True) * 0.6
    picture = np.repeat(grey, 3, axis=2).astype(np.uint8)
    picture[(row.truth != row.predicted) & (row.truth != classes.ignore_index) & _seen(row, classes)] = WRONG
    return picture


def _seen(row: Row, classes: ClassMap) -> np.ndarray:
    return np.asarray(row.predicted != classes.ignore_index)


def _shortened(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"


def _literal(text: str) -> str:
    """Matplotlib leaves out of a legend what begins with an underscore, and reads $...$ as a formula."""
    return (f" {text}" if text.startswith("_") else text).replace("$", r"\$")
