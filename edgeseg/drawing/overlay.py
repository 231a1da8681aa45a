"""Colouring class maps and laying them over pictures."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Box, Placement
from edgeseg.core.labels import ClassMap

Picture = NDArray[np.uint8]
DEFAULT_OPACITY = 0.5
_BAND_ROWS = 64  # of the picture, blended at a time: colours just enlarged are still in the processor's cache
_RED = (0, 0, 255)


def colourise(class_map: Picture, classes: ClassMap) -> Picture:
    """Return the class colours of a (H, W) uint8 class map as (H, W, 3) uint8, BGR; ignored pixels are black."""
    palette: Picture = np.ascontiguousarray(classes.palette()[:, ::-1])
    return palette.take(class_map, axis=0)


def overlay(
    picture: Picture,
    class_map: Picture,
    placement: Placement,
    classes: ClassMap,
    opacity: float = DEFAULT_OPACITY,
    out: Picture | None = None,
) -> Picture:
    """Lay a network's class map over the picture it was made from.

    The map is coloured at its own size and widened; then each picture row is blended with its row of colours in one
    pass, so that no full frame of colours is ever stored.

    Args:
        picture: (H, W, 3) uint8, BGR, of the size `placement.picture`; it is not changed.
        class_map: (h, w) uint8 of the size `placement.network`.
        placement: how the picture was laid onto the network's input; what the network never saw stays uncoloured.
        classes: names and colours.
        opacity: 0 (picture alone) to 1 (colours alone).
        out: where to draw, like `picture` and not sharing its memory; None for a new array.

    Returns:
        (H, W, 3) uint8, BGR.
    """
    drawn = np.empty_like(picture) if out is None else out
    source, target = placement.source, placement.target
    colours = _nearest(colourise(_inside(class_map, target), classes), source.width, target.height)
    row_of = _nearest(np.arange(target.height, dtype=np.int32)[:, np.newaxis], 1, source.height)[:, 0]
    columns = slice(source.x, source.x + source.width)
    if placement.crops:
        np.copyto(drawn, picture)
    for first in range(0, source.height, _BAND_ROWS):
        rows = row_of[first : first + _BAND_ROWS]
        band = (slice(source.y + first, source.y + first + len(rows)), columns)
        region = drawn[band]
        cv2.addWeighted(picture[band], 1.0 - opacity, colours.take(rows, axis=0), opacity, 0.0, dst=region)
    return drawn


def mark_stale(picture: Picture) -> Picture:
    """Draw a red frame into a (H, W, 3) uint8 BGR picture whose mask is not of now; returns the same picture."""
    border = max(2, min(picture.shape[:2]) // 80)
    for side in (np.s_[:border], np.s_[-border:], np.s_[:, :border], np.s_[:, -border:]):
        picture[side] = _RED
    return picture


def enlarge(class_map: Picture, placement: Placement) -> Picture:
    """Return the class of every picture pixel in `placement.source`: (source height, source width) uint8, nearest."""
    return _nearest(_inside(class_map, placement.target), placement.source.width, placement.source.height)


def _inside(class_map: Picture, target: Box) -> Picture:
    return class_map[target.y : target.y + target.height, target.x : target.x + target.width]


def _nearest(pixels: NDArray[Any], width: int, height: int) -> NDArray[Any]:
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT))
