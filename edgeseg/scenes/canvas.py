"""Drawing into picture and mask at once: every surface sets both from one outline, so they agree in each pixel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.scenes.camera import NEAR_M, Camera, Points
from edgeseg.scenes.light import Colour, Light
from edgeseg.scenes.texture import Texture

if TYPE_CHECKING:
    from cv2.typing import MatLike  # not in OpenCV before 4.8, such as Ubuntu's and Debian's

_SHIFT = 4
"""Outlines are placed to 1/16 pixel, so that what moves slowly does not jump."""
_FAR_OUTSIDE = 20_000.0
"""Positions further out, in pixels, are pulled in: OpenCV's edge arithmetic overflows near 32768."""


class Window(NamedTuple):
    """The part of the picture that an outline can touch: first and past-the-last column and row."""

    left: int
    top: int
    right: int
    bottom: int


class Canvas:
    """A picture and its mask being drawn, far things first.

    Attributes:
        image: (H, W, 3) uint8, BGR.
        class_map: (H, W) uint8, class ids.
    """

    def __init__(self, camera: Camera, light: Light) -> None:
        self.camera = camera
        self.light = light
        self.image = np.zeros((*camera.size, 3), np.uint8)
        self.class_map = np.zeros(camera.size, np.uint8)

    def fill(self, outline: Points, colour: Colour, class_id: int, convex: bool = True) -> None:
        """Fill a picture outline (N, 2) with one colour as seen."""
        fixed = fixed_point(outline)
        if convex:
            cv2.fillConvexPoly(self.image, fixed, colour.tolist(), cv2.LINE_8, _SHIFT)
            cv2.fillConvexPoly(self.class_map, fixed, class_id, cv2.LINE_8, _SHIFT)
        else:
            cv2.fillPoly(self.image, [fixed], colour.tolist(), cv2.LINE_8, _SHIFT)
            cv2.fillPoly(self.class_map, [fixed], class_id, cv2.LINE_8, _SHIFT)

    def face(self, corners: Points, colour: Colour, shade: float, class_id: int, convex: bool = True) -> None:
        """Fill a flat face given by (N, 3) world corners, cut off where it reaches behind the camera."""
        outline, depth = self.camera.view(corners)
        if depth.min() < NEAR_M:
            corners = clipped(corners, depth)
            if len(corners) < 3:
                return
            outline, depth = self.camera.view(corners)
        self.fill(outline, self.light.seen(colour, shade, float(depth.sum()) / len(depth)), class_id, convex)

    def panel(self, corners: Points, texture: Texture, paint: Points, shade: float, class_id: int) -> None:
        """Draw a textured rectangle.

        Args:
            corners: (4, 3) world corners: bottom left, bottom right, top right, top left of the texture.
            texture: what is painted on it.
            paint: (3, 3) BGR colours, one a row, of the texture's three channels.
            shade: brightness of the surface.
            class_id: what it is.
        """
        visible = self._before_camera(corners)
        if visible is None:
            return
        outline, depth, first, last = visible
        window = self._window(outline)
        if window is None:
            return
        pixels = texture.level(
            _length(outline[0], outline[1]) / max(last - first, 1e-3), _length(outline[0], outline[3])
        )
        height, width = pixels.shape[:2]
        left, right = first * width - 0.5, last * width - 0.5
        source = np.array([[left, height - 0.5], [right, height - 0.5], [right, -0.5], [left, -0.5]], np.float32)
        shifted = outline - window[:2]
        warp = cv2.getPerspectiveTransform(source, shifted.astype(np.float32))
        extent = (window.right - window.left, window.bottom - window.top)
        drawn = cv2.warpPerspective(pixels, warp, extent, borderMode=cv2.BORDER_REPLICATE)
        mask = np.zeros(extent[::-1], np.uint8)
        cv2.fillConvexPoly(mask, fixed_point(shifted), 255, cv2.LINE_8, _SHIFT)
        self._paint(window, drawn, mask, paint, shade, float(depth.sum()) / 4, class_id)

    def sprite(
        self, foot: Points, extent: tuple[float, float], texture: Texture, paint: Points, shade: float, class_id: int
    ) -> None:
        """Draw a cut-out standing on the world point `foot`, `extent` (width, height) metres, facing the camera.

        A negative width mirrors it.
        """
        feet, depths = self.camera.view(foot[None])
        base, depth = feet[0], float(depths[0])
        if depth < NEAR_M:
            return
        scale = self.camera.focal / depth
        width, height = abs(extent[0]) * scale, extent[1] * scale
        box = np.array([[base[0] - width / 2, base[1] - height], [base[0] + width / 2, base[1]]])
        window = self._window(box)
        if window is None or height < 1.0:
            return
        pixels, cut = texture.level_with_outline(width, height)
        along = width / pixels.shape[1]
        origin = box[0] - window[:2]
        warp = np.array([[along, 0, origin[0] + along / 2 - 0.5], [0, height / pixels.shape[0], 0]])
        warp[1, 2] = origin[1] + warp[1, 1] / 2 - 0.5
        if extent[0] < 0:
            warp[0] = [-along, 0, origin[0] + width - along / 2 - 0.5]
        extent_px = (window.right - window.left, window.bottom - window.top)
        drawn = cv2.warpAffine(pixels, warp, extent_px, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        mask = cv2.warpAffine(cut, warp, extent_px, flags=cv2.INTER_LINEAR)
        mask = cv2.threshold(mask, 127, 255, cv2.THRESH_BINARY)[1]
        self._paint(window, drawn, mask, paint, shade, depth, class_id)

    def _paint(
        self,
        window: Window,
        drawn: MatLike,
        mask: MatLike,
        paint: Points,
        shade: float,
        distance: float,
        class_id: int,
    ) -> None:
        haze = self.light.haze(distance)
        mix = np.empty((3, 4), np.float32)
        mix[:, :3] = (paint * self.light.tint * (shade * (1 - haze) / 255)).T
        mix[:, 3] = self.light.horizon * haze
        place = (slice(window.top, window.bottom), slice(window.left, window.right))
        cv2.copyTo(cv2.transform(drawn, mix), mask, self.image[place])
        cv2.copyTo(np.full(mask.shape, class_id, np.uint8), mask, self.class_map[place])

    def _before_camera(self, corners: Points) -> tuple[Points, Points, float, float] | None:
        """Cut the left or right end off a panel where it reaches behind the camera.

        Returns its outline, its corners' distances and where between 0 and 1 it begins and ends; None if all is cut.
        """
        outline, depth = self.camera.view(corners)
        left, right = min(float(depth[0]), float(depth[3])), min(float(depth[1]), float(depth[2]))
        if min(left, right) >= NEAR_M:
            return outline, depth, 0.0, 1.0
        if max(left, right) <= NEAR_M:
            return None
        first = (NEAR_M - left) / (right - left) if left < NEAR_M else 0.0
        last = (NEAR_M - left) / (right - left) if right < NEAR_M else 1.0
        bottom, top = corners[1] - corners[0], corners[2] - corners[3]
        cut = [corners[0] + bottom * first, corners[0] + bottom * last]
        return *self.camera.view(np.stack([*cut, corners[3] + top * last, corners[3] + top * first])), first, last

    def _window(self, outline: Points) -> Window | None:
        size = self.camera.size
        (low_x, low_y), (high_x, high_y) = outline.min(axis=0).tolist(), outline.max(axis=0).tolist()
        left, top = max(0, math.floor(low_x)), max(0, math.floor(low_y))
        right, bottom = min(size.width, math.ceil(high_x) + 1), min(size.height, math.ceil(high_y) + 1)
        return Window(left, top, right, bottom) if right > left and bottom > top else None


def fixed_point(outline: Points) -> NDArray[np.int32]:
    """Picture positions as OpenCV's integers with `_SHIFT` fractional bits."""
    inside = np.minimum(np.maximum(outline, -_FAR_OUTSIDE), _FAR_OUTSIDE)
    return np.asarray(np.rint(inside * (1 << _SHIFT)), np.int32)


def clipped(corners: Points, depth: Points) -> Points:
    """The part of a polygon (N, 3) before the camera: Sutherland and Hodgman's clipping at one plane."""
    kept = []
    for k in range(len(corners)):
        here, before = float(depth[k]) - NEAR_M, float(depth[k - 1]) - NEAR_M
        if (here >= 0) != (before >= 0):
            kept.append(corners[k - 1] + (corners[k] - corners[k - 1]) * (before / (before - here)))
        if here >= 0:
            kept.append(corners[k])
    return np.array(kept).reshape(-1, 3)


def _length(a: Points, b: Points) -> float:
    return float(np.hypot(*(a - b)))


def unit_normal(corners: Points) -> Points:
    """Unit normal of a flat face of three or more world corners; NumPy's cross is slow on single vectors."""
    (ax, ay, az), (bx, by, bz) = (corners[1] - corners[0]).tolist(), (corners[2] - corners[0]).tolist()
    normal = np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])
    return normal / max(math.sqrt(float(normal @ normal)), 1e-9)
