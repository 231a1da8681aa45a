"""Pictures of a data set: check.png, which shows its labels, and preview.png, which shows what a network sees of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from matplotlib.figure import Figure

from edgeseg.core.geometry import Size, place
from edgeseg.core.labels import ClassMap
from edgeseg.data.base import Image, Mask
from edgeseg.data.tools.check_report import Candidate, Report
from edgeseg.drawing.overlay import overlay
from edgeseg.figures.plots import DOTS_PER_INCH, legend, picture_grid, show_picture

if TYPE_CHECKING:
    from edgeseg.data.feeding.preview import View  # not in earnest: it brings TensorFlow

CHECK_COLUMNS = 3
CHECK_COLUMN_INCHES = 5.2
PREVIEW_COLUMN_INCHES = (2.5, 4.8)  # the network's width within these
CHECK_OPACITY = 0.55
PREVIEW_OPACITY = 0.45  # lower: what augmentation does to the colours must stay visible


def draw_check(report: Report, path: Path) -> None:
    """Write a PNG of samples blended with their labels, the rarest classes first, each outlined in white."""
    shown = report.showcase()
    if not shown:
        figure = Figure(figsize=(8, 2))
        figure.text(0.5, 0.5, "no labelled picture can be read: see check.json", ha="center", va="center")
        figure.savefig(path, dpi=DOTS_PER_INCH)
        return
    columns = min(CHECK_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    tiles = [_check_tile(index, candidate, report.classes) for index, candidate in shown]
    tallest = max(tile.shape[0] / tile.shape[1] for tile in tiles)
    patches = legend(report.classes, [f"{share:.2%}" if share else "never" for share in _total_shares(report)])
    figure, grid = picture_grid(rows, columns, CHECK_COLUMN_INCHES, min(tallest, 1.2), patches)
    for axes, tile, (index, candidate) in zip(grid, tiles, shown, strict=False):
        share = candidate.shares[index]
        name = Path(candidate.sample.name).name
        show_picture(
            axes, tile, f"{report.classes.names[index]}, {share:.2%} of the picture: {candidate.split}, {name}"
        )
    figure.savefig(path, dpi=DOTS_PER_INCH)


def draw_views(views: Sequence[View], classes: ClassMap, path: Path) -> None:
    """Write a PNG of what a network sees, each picture alone and with its labels over it.

    Draws of the augmentation stand beside the picture, their labels below them.
    """
    rows = [_view_row(view, classes) for view in views]
    height, width = rows[0][0][1].shape[:2]
    column_inches = min(max(width / DOTS_PER_INCH, PREVIEW_COLUMN_INCHES[0]), PREVIEW_COLUMN_INCHES[1])
    figure, grid = picture_grid(len(rows), len(rows[0]), column_inches, height / width, legend(classes))
    for axes, (title, picture) in zip(grid, (cell for row in rows for cell in row), strict=True):
        show_picture(axes, picture, title)
    figure.savefig(path, dpi=DOTS_PER_INCH)


def _view_row(view: View, classes: ClassMap) -> list[tuple[str, Image]]:
    name = Path(view.name).name
    pairs = [
        (image, _blend(image, class_map, classes, PREVIEW_OPACITY)) for image, class_map in (view.plain, *view.draws)
    ]
    if not view.draws:
        return [(name, pairs[0][0]), ("with its labels", pairs[0][1])]
    titles = [name, *(f"augmented, draw {number}" for number in range(1, len(pairs)))]
    return [(title, np.vstack(pair)) for title, pair in zip(titles, pairs, strict=True)]


def _blend(image: Image, class_map: Mask, classes: ClassMap, opacity: float) -> Image:
    size = Size(*class_map.shape)
    return overlay(image, class_map, place(size, size), classes, opacity)


def _check_tile(index: int, candidate: Candidate, classes: ClassMap) -> Image:
    """Blend a sample with its labels and outline class `index`; at most as wide as its column has pixels."""
    image, class_map = candidate.sample.read()
    blended = _blend(image, class_map, classes, CHECK_OPACITY)
    width = min(blended.shape[1], int(CHECK_COLUMN_INCHES * DOTS_PER_INCH))
    height = max(1, round(blended.shape[0] * width / blended.shape[1]))
    contours, _ = cv2.findContours((class_map == index).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    thickness = max(1, round(1.5 * blended.shape[1] / width))
    cv2.drawContours(blended, contours, -1, (255, 255, 255), thickness)
    return np.asarray(cv2.resize(blended, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _total_shares(report: Report) -> list[float]:
    return [float(share) for share in report.total.shares(report.classes)]
