"""Colouring class maps and laying them over pictures."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.geometry import Placement
from edgeseg.labels import ClassMap

Picture = NDArray[np.uint8]
DEFAULT_OPACITY = 0.5


def colourise(class_map: Picture, classes: ClassMap) -> Picture:
    """Return the class colours of a (H, W) uint8 class map as (H, W, 3) uint8, BGR; ignored pixels are black."""
    palette: Picture = np.ascontiguousarray(classes.palette()[:, ::-1])
    return palette.take(class_map, axis=0)


def overlay(
    picture: Picture, class_map: Picture, placement: Placement, classes: ClassMap, opacity: float = DEFAULT_OPACITY
) -> Picture:
    """Lay a network's class map over the picture it was made from.

    The map is coloured at its own size and then enlarged, which costs a fraction of colouring a camera's full frame.

    Args:
        picture: (H, W, 3) uint8, BGR, of the size `placement.picture`; it is not changed.
        class_map: (h, w) uint8 of the size `placement.network`.
        placement: how the picture was laid onto the network's input; what the network never saw stays uncoloured.
        classes: names and colours.
        opacity: 0 (picture alone) to 1 (colours alone).

    Returns:
        (H, W, 3) uint8, BGR.
    """
    source, target = placement.source, placement.target
    seen = class_map[target.y : target.y + target.height, target.x : target.x + target.width]
    colours = cv2.resize(colourise(seen, classes), (source.width, source.height), interpolation=cv2.INTER_NEAREST_EXACT)
    blended = picture.copy()
    region = blended[source.y : source.y + source.height, source.x : source.x + source.width]
    cv2.addWeighted(region, 1.0 - opacity, colours, opacity, 0.0, dst=region)
    return np.asarray(blended, np.uint8)


def mark_stale(picture: Picture) -> Picture:
    """Draw a red frame into a (H, W, 3) uint8 BGR picture whose mask is not of now; returns the same picture."""
    height, width = picture.shape[:2]
    thickness = max(2, min(height, width) // 40)
    cv2.rectangle(picture, (0, 0), (width - 1, height - 1), (0, 0, 255), thickness)
    return picture


def enlarge(class_map: Picture, placement: Placement) -> Picture:
    """Return the class of every picture pixel in `placement.source`: (source height, source width) uint8, nearest."""
    target = placement.target
    seen = class_map[target.y : target.y + target.height, target.x : target.x + target.width]
    size = (placement.source.width, placement.source.height)
    return np.asarray(cv2.resize(seen, size, interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
