"""Class maps as COCO JSON (Lin et al. 2014) with polygons, which labelling tools can correct.

COCO's polygons have no holes: each list of a segmentation is an outline of its own. A hole is therefore joined to the
outline around it by a cut of no width (a keyhole), which every tool draws and fills rightly and a person can move. Each
connected region is an annotation of its own, the largest first: tools, and `coco:`, draw later ones on top.
Coordinates are whole pixels, counted from 0: a polygon runs through the pixels of its edge, as cv2 finds and fills it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.labels import ClassMap
from edgeseg.data.base import Mask

Points = NDArray[np.int32]
"""(N, 2) x and y."""


class CocoDocument:
    """Collects pictures and the annotations of their class maps; class id i is category i + 1, tools keep 0 free.

    Args:
        classes: the categories.
        min_area: in pixels; a smaller region is left out, a smaller hole is filled.
        tolerance: in pixels; so far may an outline be moved by leaving out points (Douglas and Peucker 1973).
    """

    def __init__(self, classes: ClassMap, min_area: int, tolerance: float) -> None:
        self.classes, self.min_area, self.tolerance = classes, min_area, tolerance
        self._images: list[Any] = []
        self._annotations: list[Any] = []

    def annotations_of(self, class_map: Mask) -> list[Any]:
        """Return what is to be added for a (H, W) uint8 class map, the largest region first; safe on any thread."""
        found: list[Any] = []
        for index in np.flatnonzero(np.bincount(class_map.ravel(), minlength=256)[: len(self.classes)]):
            found += _regions(class_map == index, int(index) + 1, self.min_area, self.tolerance)
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


def _regions(mask: NDArray[np.bool_], category: int, min_area: int, tolerance: float) -> list[Any]:
    """Return an annotation for each connected region of the (H, W) mask."""
    pixels = mask.astype(np.uint8)
    areas = cv2.connectedComponentsWithStats(pixels, connectivity=8)
    region_of, area_of = areas[1], areas[2][:, cv2.CC_STAT_AREA]
    contours, hierarchy = cv2.findContours(pixels, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for number, (_, _, child, parent) in enumerate(hierarchy[0]):
        x, y = contours[number][0, 0]
        area = int(area_of[region_of[y, x]])
        if parent >= 0 or area < min_area:
            continue
        holes = []
        while child >= 0:
            if _hole_area(contours[child]) >= min_area:
                holes.append(_simplified(contours[child], tolerance))
            child = hierarchy[0][child][0]
        outline = _simplified(contours[number], tolerance)
        for hole in sorted(holes, key=lambda each: int(each[:, 0].min())):
            outline = _joined(outline, hole)
        found.append(_annotation(category, outline, area, cv2.boundingRect(contours[number])))
    return found


def _annotation(category: int, outline: Points, area: int, box: Sequence[int]) -> dict[str, Any]:
    points = outline if len(outline) >= 3 else np.concatenate([outline, *[outline[-1:]] * (3 - len(outline))])
    return {
        "category_id": category,
        "segmentation": [points.ravel().tolist()],
        "area": area,
        "bbox": list(map(int, box)),
        "iscrowd": 0,
    }


def _simplified(contour: Any, tolerance: float) -> Points:
    fewer = cv2.approxPolyDP(contour, tolerance, closed=True)
    return np.asarray(fewer if len(fewer) >= 3 else contour, np.int32).reshape(-1, 2)


def _hole_area(contour: Any) -> float:
    """Return the pixels inside a hole's contour, which runs through the pixels around it (Pick 1899)."""
    points = contour.reshape(-1, 2)
    around = np.abs(np.roll(points, -1, axis=0) - points).max(axis=1).sum()
    return float(cv2.contourArea(contour) - around / 2 + 1)


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
