"""What a vehicle asks of a mask: shares, the free space ahead, how much it flickers. Cheap, and off by default."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import UsageError, nearest
from edgeseg.core.geometry import Box, Crop, Placement, Size, place
from edgeseg.core.labels import ClassMap
from edgeseg.core.pictures.damage import damage_of
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.road_settings import RoadSettings

ClassIds = NDArray[np.uint8]

FREE_TO_THE_TOP = -1
"""In a boundary: the column is road as far up as the network saw."""
NOT_SEEN = -2
"""In a boundary: the network saw nothing of the column, or the bonnet alone."""

_WHITE = 128
_LONGEST_GAP_S = 0.5  # masks from before a longer gap are of another place: they do not vote


@dataclass(frozen=True)
class RoadResult:
    """What one mask says.

    Attributes:
        shares: of each class, by name, 0 to 1 of the region's pixels without the bonnet; `ignore` for those without a
            class.
        boundary: (w,) int16, for each column of the class map the first row, from the bottom, that is not road; the
            rows below it are free. The bonnet is looked through. Also FREE_TO_THE_TOP or NOT_SEEN.
        flicker: share of the region's pixels whose class is another than in the mask before; None for the first one.
    """

    shares: dict[str, float]
    boundary: NDArray[np.int16]
    flicker: float | None

    def to_dict(self) -> dict[str, Any]:
        return {
            "shares": {name: round(share, 5) for name, share in self.shares.items()},
            "boundary": self.boundary.tolist(),
            "flicker": None if self.flicker is None else round(self.flicker, 5),
        }


class RoadReport:
    """Judges masks one after the other, and smooths them if that is wanted.

    Args:
        spec: of the model.
        graph_size: the frame size that the camera graph takes.
        camera: the size of the camera's pictures, in whose pixels the region is given.

    Raises:
        UsageError: no such class, a region outside the picture, a bonnet that cannot be read or covers everything.
    """

    def __init__(self, settings: RoadSettings, spec: ModelSpec, graph_size: Size, camera: Size) -> None:
        self._road = _road_id(spec.classes, settings.class_name)
        self._names = spec.classes.names
        placement = place(graph_size, spec.input_size, spec.fit, spec.crop)
        seen = np.ones(camera, np.uint8) if not settings.bonnet else _without_bonnet(Path(settings.bonnet), camera)
        region = np.zeros(camera, np.uint8)
        x, y, width, height = _box(settings.region, camera)
        region[y : y + height, x : x + width] = 1
        self._seen = _at_network(seen, placement) > 0
        self._region = np.ascontiguousarray(_at_network(seen & region, placement))
        self._pixels = int(self._region.sum())
        if not self._pixels:
            raise UsageError("road report: region and bonnet leave no pixel that the network sees; choose a larger one")
        self._not_seen = ~self._seen.any(axis=0)
        self._last: deque[ClassIds] = deque(maxlen=settings.smooth)
        self._before: ClassIds | None = None
        self._at = 0.0

    def add(self, class_map: ClassIds, captured_monotonic: float) -> tuple[ClassIds, RoadResult]:
        """Take the next (h, w) class map; return it, smoothed if that is wanted, and what it says.

        A smoothed mask is late by half the number of masks that vote; of classes with equal votes the newest wins.
        """
        if captured_monotonic - self._at > _LONGEST_GAP_S:
            self._last.clear()
        self._at = captured_monotonic
        if self._last.maxlen != 1:
            self._last.appendleft(class_map.copy())  # an engine may use its output again
            class_map = majority(list(self._last))
        result = RoadResult(self._shares(class_map), self.boundary(class_map), self._flicker(class_map))
        self._before = class_map.copy()
        return class_map, result

    def _shares(self, class_map: ClassIds) -> dict[str, float]:
        counts = cv2.calcHist([class_map], [0], self._region, [256], [0.0, 256.0]).ravel() / self._pixels
        named = {name: float(share) for name, share in zip(self._names, counts, strict=False)}
        return {**named, "ignore": float(counts[len(self._names) :].sum())}

    def boundary(self, class_map: ClassIds) -> NDArray[np.int16]:
        """Return for each column of a (h, w) class map where the road ends, as in RoadResult."""
        blocked = (class_map != self._road) & self._seen
        height = len(blocked)
        rows: NDArray[np.int16] = np.asarray(height - 1 - blocked[::-1].argmax(axis=0), np.int16)
        rows[~blocked.any(axis=0)] = FREE_TO_THE_TOP
        rows[self._not_seen] = NOT_SEEN
        return rows

    def _flicker(self, class_map: ClassIds) -> float | None:
        if self._before is None:
            return None
        changed = (class_map != self._before).view(np.uint8) & self._region
        return float(np.count_nonzero(changed)) / self._pixels


def majority(masks: list[ClassIds]) -> ClassIds:
    """Return the most frequent class of each pixel; of classes equally frequent that of the earliest mask given.

    Args:
        masks: (h, w) uint8 each, 1 to 255 of them, the newest first.
    """
    votes = [np.ones(mask.shape, np.uint8) for mask in masks]
    for (one, votes_one), (other, votes_other) in itertools.combinations(zip(masks, votes, strict=True), 2):
        same = (one == other).view(np.uint8)
        votes_one += same
        votes_other += same
    winner: ClassIds = masks[0].copy()
    best = votes[0]
    for mask, count in zip(masks[1:], votes[1:], strict=True):
        cv2.copyTo(mask, (count > best).view(np.uint8), winner)
        np.maximum(best, count, out=best)
    return winner


def _road_id(classes: ClassMap, name: str) -> int:
    index = classes.index(name)
    if index is None:
        known = ", ".join(classes.names)
        raise UsageError(f"road class {name!r} is no class of the model{nearest(name, classes.names)}; it has: {known}")
    return index


def _box(region: str, camera: Size) -> Box:
    if not region:
        return Box(0, 0, camera.width, camera.height)
    crop = Crop.parse(region, camera)
    return place(camera, camera, crop=crop).source


def _without_bonnet(path: Path, camera: Size) -> ClassIds:
    """Return (H, W) uint8, 1 where the bonnet is not."""
    try:
        content = path.read_bytes()
        # Not cv2.imread: a name that is not UTF-8 ends the process.
        picture = None if damage_of(content) else cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
    except (OSError, cv2.error):
        picture = None
    if picture is None:
        raise UsageError(f"{path}: no readable picture; expected the camera's view, white where the bonnet is")
    if picture.shape[0] * camera.width != picture.shape[1] * camera.height:
        size = Size(*picture.shape)
        raise UsageError(f"{path}: the picture is {size}; expected {camera} as the camera's, or of the same aspect")
    resized = cv2.resize(picture, (camera.width, camera.height), interpolation=cv2.INTER_NEAREST_EXACT)
    visible: ClassIds = np.less(resized, _WHITE).astype(np.uint8)
    return visible


def _at_network(mask: ClassIds, placement: Placement) -> ClassIds:
    """Return a (H, W) mask of the camera's picture as the network sees it: 1 where most of a pixel is, 0 in padding."""
    graph = cv2.resize(mask, (placement.picture.width, placement.picture.height), interpolation=cv2.INTER_NEAREST_EXACT)
    x, y, width, height = placement.source
    target = placement.target
    inside = np.asarray(graph)[y : y + height, x : x + width].astype(np.float32)
    shrunk = cv2.resize(inside, (target.width, target.height), interpolation=cv2.INTER_AREA)
    result = np.zeros(placement.network, np.uint8)
    result[target.y : target.y + target.height, target.x : target.x + target.width] = np.asarray(shrunk) >= 0.5
    return result
