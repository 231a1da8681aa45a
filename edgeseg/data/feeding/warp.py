"""The geometric part of augmentation: one affine map, by which picture and class map are moved together.

Coordinates are continuous: a pixel of index i covers i to i + 1. The fit to the network's size is part of the map
(see `Source`), so a picture is interpolated once, whatever happens to it, and what is enlarged is not blurred by having
been made small before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Box, Placement, Size, place
from edgeseg.data.base import Image, Mask
from edgeseg.data.feeding.augment import Augmentation
from edgeseg.data.feeding.fit import PixelColour, fit_class_map, fit_image

Matrix = NDArray[np.float64]
"""(3, 3) float64, from continuous coordinates (x, y, 1) of one picture to those of another."""
NO_PADDING = (0, 0, 0)
LINEAR = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
NEAREST = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP


@dataclass(frozen=True)
class Source:
    """The part of a picture that the network may see, and where it stands in the network's input.

    Attributes:
        image: (H, W, 3) uint8, BGR.
        class_map: (H, W) uint8.
        placement: from this part, all of it, to the network's input.
        ignore_index: the class id of what is not labelled.
    """

    image: Image
    class_map: Mask
    placement: Placement
    ignore_index: int

    @classmethod
    def cut(cls, image: Image, class_map: Mask, placement: Placement, ignore_index: int) -> Source:
        """Take from a whole picture what its placement uses of it."""
        x, y, width, height = placement.source
        part = np.s_[y : y + height, x : x + width]
        local = replace(placement, picture=Size(height, width), source=Box(0, 0, width, height))
        return cls(np.ascontiguousarray(image[part]), np.ascontiguousarray(class_map[part]), local, ignore_index)

    def reduced(self) -> Source:
        """Return it resized to its place in the network's input: less memory, and less to see when enlarged again."""
        size = Size(self.placement.target.height, self.placement.target.width)
        image, class_map = replace(self, placement=place(self.placement.picture, size)).fitted(NO_PADDING)
        local = replace(self.placement, picture=size, source=Box(0, 0, size.width, size.height))
        return Source(image, class_map, local, self.ignore_index)

    def fitted(self, padding: PixelColour) -> tuple[Image, Mask]:
        """Return picture and class map at the network's size, as validation and the vehicle see them."""
        return (
            fit_image(self.image, self.placement, padding),
            fit_class_map(self.class_map, self.placement, self.ignore_index),
        )

    @property
    def nbytes(self) -> int:
        return self.image.nbytes + self.class_map.nbytes


class Warped(NamedTuple):
    """What a map leaves.

    Attributes:
        image: (H, W, 3) uint8, writable; beyond the picture its edge goes on, so that a blur mixes no padding in.
        class_map: (H, W) uint8; the ignore index beyond the picture.
        inside: (H, W) uint8, 1 where the picture is, 0 beyond it; None if it is everywhere.
    """

    image: Image
    class_map: Mask
    inside: Mask | None


def draw_map(settings: Augmentation, random: np.random.Generator, network: Size, window: Size) -> Matrix:
    """Draw the map from the network's input to the window that training sees.

    Mirrored, scaled (the logarithm is uniform: as often to half the size as to twice), laid so that as much as possible
    of the window shows the picture (of which it is a random part if the picture is the larger one), turned about the
    window's centre. Places are whole pixels: a map that neither scales nor turns changes no pixel.

    Args:
        settings: how far each may go.
        random: nine numbers are taken from it, whatever the settings.
        network: the size of the fitted picture.
        window: the size of what training sees; the network's own, or smaller.
    """
    draws = random.random(9)
    (flip, scale, *zooms, turn), places = draws[:5], draws[5:]
    scale = settings.scale_min * (settings.scale_max / settings.scale_min) ** scale
    zoom = (1 + settings.zoom) ** (2 * np.array(zooms) - 1)
    sides, aim = np.array(network[::-1], float), np.array(window[::-1], float)  # x first
    scales = scale * zoom
    corner = np.rint(places[:2] * (aim - scales * sides)) + np.rint((2 * places[2:] - 1) * settings.translation * aim)
    mirror = _affine([[-1, 0], [0, 1]], (sides[0], 0)) if flip < settings.flip else np.eye(3)
    angle = np.radians((2 * turn - 1) * settings.rotation)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = _affine(rotation, aim / 2 - rotation @ aim / 2) if angle else np.eye(3)
    matrix: Matrix = turned @ _affine(np.diag(scales), corner) @ mirror
    return matrix


def warp(source: Source, matrix: Matrix, window: Size) -> Warped:
    """Move a picture, linear, and its class map, nearest neighbour, into the window.

    What is only mirrored or moved by whole pixels is the fitted picture exactly: it is fitted first.

    Args:
        source: the picture.
        matrix: of `draw_map`.
        window: its size.
    """
    if np.array_equal(abs(matrix[:2, :2]), np.eye(2)):
        source = source.reduced()
    whole = matrix @ _fit_map(source.placement)
    inside = _inside(whole, source.class_map, window)
    if np.array_equal(whole, np.eye(3)) and source.class_map.shape == window:
        return Warped(source.image.copy(), source.class_map.copy(), inside)
    return Warped(*_warp_pair(source, whole, window), inside)


def paint_padding(warped: Warped, colour: PixelColour) -> Image:
    """Return the picture with a BGR colour where there is no picture."""
    if warped.inside is None:
        return warped.image
    canvas = np.empty_like(warped.image)
    canvas[:] = np.array(colour, np.uint8)
    return np.asarray(cv2.copyTo(warped.image, warped.inside, canvas), np.uint8)


def _warp_pair(source: Source, matrix: Matrix, window: Size) -> tuple[Image, Mask]:
    # BORDER_CONSTANT is twice as fast, and the same where the map never looks beyond the picture.
    within = _looks_within(matrix, source.class_map, window, margin=0.5)
    border = cv2.BORDER_CONSTANT if within else cv2.BORDER_REPLICATE
    inverse = _inverse(matrix)
    moved = cv2.warpAffine(source.image, inverse, window[::-1], flags=LINEAR, borderMode=border)
    return np.asarray(moved, np.uint8), _warp_labels(source.class_map, inverse, window, source.ignore_index)


def _warp_labels(class_map: Mask, inverse: Matrix, window: Size, beyond: int) -> Mask:
    moved = cv2.warpAffine(
        class_map, inverse, window[::-1], flags=NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=beyond
    )
    return np.asarray(moved, np.uint8)


def _inside(matrix: Matrix, class_map: Mask, window: Size) -> Mask | None:
    """Return where the window shows the picture, (H, W) uint8 0 or 1, or None if everywhere."""
    if _looks_within(matrix, class_map, window, margin=1e-3):
        return None
    inside = _warp_labels(np.ones_like(class_map), _inverse(matrix), window, 0)
    return None if inside.all() else inside


def _looks_within(matrix: Matrix, class_map: Mask, window: Size, margin: float) -> bool:
    """Return whether the centres of all pixels of the window lie in the picture, by at least so many of its pixels."""
    right, bottom = window.width - 0.5, window.height - 0.5
    corners = np.array([(0.5, right, 0.5, right), (0.5, 0.5, bottom, bottom), (1, 1, 1, 1)])
    seen = (np.linalg.inv(matrix) @ corners)[:2]
    sides = np.array(class_map.shape[::-1])[:, None]
    return bool((seen >= margin).all() and (seen <= sides - margin).all())


def _inverse(matrix: Matrix) -> Matrix:
    """Return the inverse, (2, 3), between indices of pixels rather than continuous coordinates: as OpenCV takes it."""
    half = _affine(np.eye(2), (0.5, 0.5))
    inverse: Matrix = (np.linalg.inv(half) @ np.linalg.inv(matrix) @ half)[:2]
    return inverse


def _fit_map(placement: Placement) -> Matrix:
    (_, _, width, height), target = placement.source, placement.target
    return _affine(np.diag((target.width / width, target.height / height)), (target.x, target.y))


def _affine(linear: Any, offset: Any) -> Matrix:
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = linear, offset
    return matrix
