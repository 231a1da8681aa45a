"""`make test-interop`: figures are filled here as LabelMe and datumaro fill them, in the versions that are installed.

`python -m tests.labelling_tools --renew` writes what they make of the figures into tests/edgeseg/data/golden/, which
the suite compares with on every machine. Both tools are too large, and LabelMe's licence (GPL) is another: they are
never installed with edgeseg.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from edgeseg.data.labelme.annotation import shape_of
from edgeseg.data.reading.polygons import BOX, ELLIPSE, PILLOW, PIXEL, POLYGON, Canvas, Figure
from edgeseg.data.reading.shapes import Shape
from tests.helpers.figures import CVAT, LINE_WIDTH, SIZE, golden, labelme_document, random_figures, tiled, write_golden

KINDS = {"polygon": POLYGON, "box": BOX, "ellipse": ELLIPSE}
Masks = list[NDArray[np.bool_]]


def filled(figures: Sequence[Figure], rule: str) -> Masks:
    """Return each figure's mask, as edgeseg fills it."""
    masks = []
    for figure in figures:
        canvas = Canvas(SIZE, 0)
        canvas.fill(figure, 1, rule)
        masks.append(canvas.class_map > 0)
    return masks


def labelme_figures() -> list[Figure]:
    """Return the figures of a LabelMe file, as edgeseg reads it."""
    shapes = [shape_of(each, "shape", LINE_WIDTH) for each in labelme_document()["shapes"]]
    return [
        Figure(each.points, each.kind, each.width)
        for each in shapes
        if isinstance(each, Shape) and each.points is not None
    ]


def cvat_figures() -> list[Figure]:
    """Return figures as datumaro reads them from CVAT's files: two decimals, polygons in single precision."""
    return [
        Figure(np.array(points).round(2).astype("f4" if kind == "polygon" else "f8").astype("f8"), KINDS[kind])
        for kind, points in random_figures(CVAT, seed=1)
    ]


def by_labelme() -> Masks:
    from labelme.utils.shape import shape_to_mask

    return [
        shape_to_mask(SIZE, each["points"], each["shape_type"], line_width=LINE_WIDTH)
        for each in labelme_document()["shapes"]
    ]


def by_datumaro() -> Masks:
    from datumaro.components.annotation import Bbox, Ellipse, Polygon
    from datumaro.plugins.transforms import BoxesToMasks, PolygonsToMasks

    masks = []
    for kind, points in random_figures(CVAT, seed=1):
        (left, top), (right, bottom) = np.min(points, axis=0).round(2), np.max(points, axis=0).round(2)
        if kind == "box":
            mask = BoxesToMasks.convert_bbox(Bbox(left, top, right - left, bottom - top), *SIZE)
        elif kind == "ellipse":
            mask = PolygonsToMasks.convert_polygon(Ellipse(left, top, right, bottom), *SIZE)
        else:
            mask = PolygonsToMasks.convert_polygon(Polygon(np.ravel(points).round(2)), *SIZE)
        masks.append(np.asarray(mask.image, np.bool_))
    return masks


TOOLS: dict[str, tuple[Callable[[], Masks], Callable[[], Masks]]] = {
    "labelme": (by_labelme, lambda: filled(labelme_figures(), PILLOW)),
    "datumaro": (by_datumaro, lambda: filled(cvat_figures(), PIXEL)),
}


def main(renew: bool) -> int:
    """Compare with each tool; return the number of those that differ, here or from the golden masks."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    wrong = 0
    for name, (theirs, ours) in TOOLS.items():
        masks = theirs()
        if renew:
            print(write_golden(f"{name}.png", masks))
        differing = sum(not np.array_equal(*pair) for pair in zip(masks, ours(), strict=True))
        stale = not np.array_equal(tiled(masks), golden(f"{name}.png"))
        print(f"{name} {version(name)}: {differing} of {len(masks)} masks differ{', golden ones too' if stale else ''}")
        wrong += bool(differing or stale)
    return wrong


if __name__ == "__main__":
    sys.exit(main("--renew" in sys.argv))
