"""Pictures and masks brought to the network's size, as the exported camera graph does it."""

from __future__ import annotations

import cv2
import numpy as np

from edgeseg.core.geometry import Placement
from edgeseg.data.base import Image, Mask

PixelColour = tuple[int, int, int]


def fit_image(image: Image, placement: Placement, padding: PixelColour) -> Image:
    """Return the (H, W, 3) uint8 picture at the network's size.

    Linear without antialias, with half-pixel centres: what the exported graph does, so training sees what the vehicle
    will. `padding` fills what the picture does not reach, in the picture's channel order.
    """
    return _fit(image, placement, cv2.INTER_LINEAR, padding)


def fit_class_map(class_map: Mask, placement: Placement, ignore_index: int) -> Mask:
    """Return the (H, W) uint8 class map at the network's size: nearest neighbour, padded with the ignore index."""
    return _fit(class_map, placement, cv2.INTER_NEAREST_EXACT, ignore_index)


def _fit(pixels: Image, placement: Placement, interpolation: int, padding: PixelColour | int) -> Image:
    x, y, width, height = placement.source
    target = placement.target
    pixels = pixels[y : y + height, x : x + width]
    if (height, width) != (target.height, target.width):
        pixels = cv2.resize(pixels, (target.width, target.height), interpolation=interpolation).astype(np.uint8)
    if not placement.pads:
        return np.ascontiguousarray(pixels)
    canvas = np.empty((*placement.network, *pixels.shape[2:]), np.uint8)
    canvas[:] = padding
    canvas[target.y : target.y + target.height, target.x : target.x + target.width] = pixels
    return canvas
