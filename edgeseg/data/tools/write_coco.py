"""Class maps as COCO JSON (Lin et al. 2014) with polygons, which labelling tools can correct.

COCO's polygons have no holes: each list of a segmentation is an outline of its own. A hole is therefore joined to the
outline around it by a cut of no width (a keyhole), which every tool draws and fills rightly and a person can move. Each
connected region is an annotation of its own, the largest first: tools, and `coco:`, draw later ones on top.
Coordinates are those of pixel edges, as in COCO's own files: without tolerance, pycocotools reads back each region to
the pixel, holes included, for it fills by even and odd and a cut there and back changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.data.base import Mask
from edgeseg.data.reading.polygons import PIXEL, Canvas, Figure
from edgeseg.data.tools.outlines import Outline, Points, outlines

KEPT = 0.9  # IoU that a region's outline keeps, whatever the tolerance: a pole is hardly wider than that
LEAST_TOLERANCE = 0.25  # pixels; less moves nothing


class CocoDocument:
    """Collects pictures and the annotations of their class maps; class id i is category i + 1, tools keep 0 free.

    Args:
        classes: the categories.
        min_area: in pixels; a smaller region is left out, a smaller hole is filled.
        tolerance: in pixels; so far may an outline be moved by leaving out points (Douglas and Peucker 1973); less
            where a region would lose a tenth of its pixels by it.
    """

    def __init__(self, classes: ClassMap, min_area: int, tolerance: float) -> None:
        self.classes, self.min_area, self.tolerance = classes, min_area, tolerance
        self._images: list[Any] = []
        self._annotations: list[Any] = []

    def annotations_of(self, class_map: Mask) -> list[Any]:
        """Return what is to be added for a (H, W) uint8 class map, the largest region first; safe on any thread."""
        found: list[Any] = []
        for index in np.flatnonzero(np.bincount(class_map.ravel(), minlength=256)[: len(self.classes)]):
            mask = class_map == index
            left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
            cut = mask[top : top + height, left : left + width]
            found += _regions(cut, (left, top), int(index) + 1, self.min_area, self.tolerance)
        return sorted(found, key=lambda each: -int(each["area"]))

    def add(self, file_name: str, class_map: Mask, annotations: Sequence[Any]) -> None:
        """Add a picture with what `annotations_of` returned for it."""
        image = len(self._images) + 1
        height, width = class_map.shape
        self._images.append({"id": image, "file_name": file_name, "width": width, "height": height})
        for each in annotations:
            self._annotations.append({"id": len(self._annotations) + 1, "image_id": image, **each})

    def document(self) -> dict[str, Any]:
        """Return the JSON object."""
        names = enumerate(self.classes.names, start=1)
        categories = [{"id": index, "name": name, "supercategory": ""} for index, name in names]
        return {"images": self._images, "annotations": self._annotations, "categories": categories}


def _regions(
    mask: NDArray[np.bool_], origin: tuple[int, int], category: int, min_area: int, tolerance: float
) -> list[Any]:
    """Return an annotation for each connected region of the (H, W) mask, which begins at x and y in the picture."""
    _, region_of, boxes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    around: dict[int, Outline] = {}
    holes: dict[int, list[Outline]] = {}
    for each in outlines(mask):
        region = int(region_of[each.pixel[::-1]])
        if each.area > 0:
            around[region] = each
        elif -each.area >= min_area:
            holes.setdefault(region, []).append(each)
    found = []
    for region, outer in around.items():
        *box, area = map(int, boxes[region])
        if area >= min_area:
            outline = _simplified(outer.corners, tolerance)
            inner = [_simplified(each.corners, tolerance) for each in holes.get(region, [])]
            for hole in sorted(inner, key=lambda each: int(each[:, 0].min())):
                outline = _joined(outline, hole)
            box[:2] = box[0] + origin[0], box[1] + origin[1]
            found.append(_annotation(category, outline + np.array(origin, np.int32), area, box))
    return found


def _annotation(category: int, outline: Points, area: int, box: Sequence[int]) -> dict[str, Any]:
    return {
        "category_id": category,
        "segmentation": [outline.ravel().tolist()],
        "area": area,
        "bbox": list(box),
        "iscrowd": 0,
    }


def _simplified(corners: Points, tolerance: float) -> Points:
    """Return an outline with fewer corners; of a thin region, of which too much would be lost, with less tolerance."""
    if not tolerance:
        return corners
    origin = corners.min(axis=0)
    size = Size(*(int(side) for side in (corners.max(axis=0) - origin)[::-1]))
    whole = _filled(corners - origin, size)
    while tolerance >= LEAST_TOLERANCE:
        fewer = np.asarray(cv2.approxPolyDP(corners, tolerance, closed=True), np.int32).reshape(-1, 2)
        filled = _filled(fewer - origin, size)
        if (whole & filled).sum() >= KEPT * (whole | filled).sum():
            return fewer
        tolerance /= 2
    return corners


def _filled(corners: Points, size: Size) -> Mask:
    canvas = Canvas(size, 0)
    canvas.fill(Figure(corners.astype(np.float64)), 1, PIXEL)
    return canvas.class_map


def _joined(outline: Points, hole: Points) -> Points:
    """Return the outline with a cut to the hole, around it and back.

    The cut runs straight left from the hole's leftmost point. If holes are joined from left to right, what it meets
    first is in the outline already, so it never crosses a hole (Eberly, Triangulation by Ear Clipping, section 3).
    """
    first = int(hole[:, 0].argmin())
    x, y = hole[first]
    start, end = outline.astype(np.float64), np.roll(outline, -1, axis=0).astype(np.float64)
    rise = end[:, 1] - start[:, 1]
    along = np.divide(y - start[:, 1], rise, out=np.zeros(len(outline)), where=rise != 0)
    met = start[:, 0] + along * (end[:, 0] - start[:, 0])
    met[(start[:, 1] - y) * (end[:, 1] - y) > 0] = -np.inf  # the edge lies above or below
    met[met > x] = -np.inf
    at = int(met.argmax())
    gate = np.array([[round(met[at]), y]], np.int32) if np.isfinite(met[at]) else outline[at : at + 1]
    around = np.roll(hole, -first, axis=0)
    return np.concatenate([outline[: at + 1], gate, around, around[:1], gate, outline[at + 1 :]])
