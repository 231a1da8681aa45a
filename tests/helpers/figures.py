"""Random figures, the same everywhere, and the pictures that hold what other tools make of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgeseg.core.geometry import Size
from tests.helpers.places import ROOT

GOLDEN = ROOT / "tests" / "edgeseg" / "data" / "golden"
SIZE = Size(40, 60)
LINE_WIDTH = 5
LABELME = {"polygon": 200, "rectangle": 20, "oriented_rectangle": 20, "circle": 20, "line": 20, "linestrip": 20}
CVAT = {"polygon": 60, "box": 20, "ellipse": 20}
CORNERS = {"rectangle": 2, "box": 2, "ellipse": 2, "oriented_rectangle": 4, "circle": 2, "line": 2}
ACROSS = 20


def random_points(random: Random, corners: int, whole: bool) -> list[list[float]]:
    """Return x and y of corners in and around a picture of SIZE."""
    points = [[random.uniform(-15, SIZE.width + 15), random.uniform(-15, SIZE.height + 15)] for _ in range(corners)]
    return [[float(round(value)) for value in point] for point in points] if whole else points


def random_figures(counts: dict[str, int], seed: int = 0) -> list[tuple[str, list[list[float]]]]:
    """Return kinds and points: whole coordinates and others by turns; outlines cross themselves."""
    random = Random(seed)
    return [
        (kind, random_points(random, CORNERS.get(kind) or random.randint(3, 9), number % 2 == 0))
        for kind, count in counts.items()
        for number in range(count)
    ]


def labelme_document() -> dict[str, Any]:
    """Return the JSON of a LabelMe file with all its kinds."""
    shapes = [{"label": "a", "shape_type": kind, "points": points} for kind, points in random_figures(LABELME)]
    return {"shapes": shapes, "imageHeight": SIZE.height, "imageWidth": SIZE.width}


def tiled(masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Return masks of SIZE side by side."""
    empty = np.zeros(SIZE, np.bool_)
    rows = [[*masks[at : at + ACROSS], *[empty] * ACROSS][:ACROSS] for at in range(0, len(masks), ACROSS)]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


def golden(name: str) -> NDArray[np.bool_]:
    """Return what a tool made of the figures; `make test-interop` renews it."""
    with Image.open(GOLDEN / name) as image:
        return np.array(image, np.bool_)


def write_golden(name: str, masks: Sequence[NDArray[np.bool_]]) -> Path:
    """Write what a tool makes of the figures."""
    path = GOLDEN / name
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(tiled(masks).astype(np.uint8) * 255).convert("1").save(path, optimize=True)
    return path
