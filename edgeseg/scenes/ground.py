"""The ground: road, lane markings, sidewalks and strips, their grain, the shadows on them and the air before them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.scenes import classes, texture
from edgeseg.scenes.backdrop import stretched
from edgeseg.scenes.camera import Camera
from edgeseg.scenes.canvas import Canvas
from edgeseg.scenes.light import Colour
from edgeseg.scenes.street import SIDES, Street

_FAR_M = 420.0
_NARROWEST_M = 0.03
_DASH_M, _DASH_PERIOD_M, _DASHES = 3.2, 9.0, 12

Offsets = NDArray[np.float64] | float
Strip = tuple[Offsets, Offsets, Colour, int]
"""Between which two offsets from the centre line, in metres; colour; class."""


class _Ground:
    """The strips as the camera sees them, cut into slices of equal distance."""

    def __init__(self, canvas: Canvas, street: Street) -> None:
        self.canvas = canvas
        self.street = street
        camera = canvas.camera
        nearest = float(camera.ground_distance(np.array([camera.size.height + 1.0]))[0])
        self.distance = np.geomspace(max(nearest * 0.98, 0.5), _FAR_M, 44)
        z = camera.pose.z + self.distance
        self.edges = {side: street.edges(side, z) for side in SIDES}

    def draw(self) -> None:
        """Draw everything flat and in full light."""
        street, canvas = self.street, self.canvas
        first = max(0, int(np.ceil(canvas.camera.horizon)))
        canvas.image[first:] = np.clip(street.grass, 0, 255)
        canvas.class_map[first:] = classes.LANDSCAPING
        left, right = self.edges[-1], self.edges[1]
        strips: list[Strip] = [
            (side * e.verge, side * e.walk, street.paving, classes.SIDEWALK) for side, e in self.edges.items()
        ]
        strips.append((-left.road, right.road, street.asphalt, classes.ROAD))
        strips += [self._kerb(side) for side in SIDES]
        self._fill(strips + self._worn_tracks() + self._lines())
        for offset, colour in self._dashed():
            self._dashes(offset, colour)

    def _fill(self, strips: list[Strip]) -> None:
        offsets = np.array([np.broadcast_to(edge, self.distance.shape) for strip in strips for edge in strip[:2]])
        outlines = self._project(offsets)
        for (_, _, colour, class_id), a, b, c, d in zip(
            strips, outlines[::2], outlines[1::2], offsets[::2], offsets[1::2], strict=True
        ):
            for run in _runs(np.abs(c - d) > _NARROWEST_M):
                self.canvas.fill(np.concatenate([a[run], b[run][::-1]]), colour, class_id, convex=False)

    def _project(self, offsets: NDArray[np.float64]) -> NDArray[np.float64]:
        """Picture positions (K, N, 2) of (K, N) offsets right of the centre line in the N slices."""
        camera = self.canvas.camera
        sin, cos = np.sin(camera.pose.yaw), np.cos(camera.pose.yaw)
        z = camera.pose.z + self.distance
        # The slice is known by its distance, not its z: the two differ where the camera looks askew.
        for _ in range(3):
            x = self.street.centre(z) + offsets
            z = camera.pose.z + (self.distance - (x - camera.pose.x) * sin) / cos
        x = self.street.centre(z) + offsets
        points = np.stack([x, np.zeros_like(x), z], axis=-1)
        return camera.project(points.reshape(-1, 3)).reshape(*x.shape, 2)

    def _kerb(self, side: int) -> Strip:
        edges = self.edges[side]
        width = 0.25 * np.clip(1 - (edges.verge - edges.road) / 0.5, 0, 1) * (edges.walk > edges.verge + 0.3)
        return side * edges.road, side * (edges.road + width), self.street.paving * 0.5 + 105, classes.SIDEWALK

    def _worn_tracks(self) -> list[Strip]:
        street = self.street
        middles = [
            (k + share) * street.lane for k in range(-street.lanes[-1], street.lanes[1]) for share in (0.26, 0.74)
        ]
        return [(m - 0.3, m + 0.3, street.asphalt * street.worn, classes.ROAD) for m in middles]

    def _lines(self) -> list[Strip]:
        street = self.street
        lines = [(side * (e.road - 0.35), street.line) for side, e in self.edges.items()]
        if sum(street.lanes.values()) > 2:
            lines += [(np.array(offset), street.middle_line) for offset in (-0.17, 0.17)]
        return [(at - 0.07, at + 0.07, colour, classes.ROAD) for at, colour in lines]

    def _dashed(self) -> list[tuple[float, Colour]]:
        street = self.street
        lines = [(side * k * street.lane, street.line) for side in SIDES for k in range(1, street.lanes[side])]
        return lines if sum(street.lanes.values()) > 2 else [(0.0, street.middle_line)]

    def _dashes(self, offset: float, colour: Colour) -> None:
        camera = self.canvas.camera
        low = camera.pose.z + 0.5
        starts = (np.floor(camera.pose.z / _DASH_PERIOD_M) + np.arange(_DASHES)) * _DASH_PERIOD_M
        near, far = np.maximum(starts, low), starts + _DASH_M
        z = np.stack([near, far, far, near], axis=1)[far > low]
        x = self.street.centre(z) + offset + np.array([-0.08, -0.08, 0.08, 0.08])
        for corners in np.stack([x, np.zeros_like(x), z], axis=-1):
            if camera.depth(corners).min() > 0.3:
                self.canvas.fill(camera.project(corners), colour, classes.ROAD)


def _runs(wanted: NDArray[np.bool_]) -> list[slice]:
    """Where an unbroken row of two or more is wanted; a strip that is drawn without width would leave a line."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], wanted, [False]]).astype(np.int8)))
    return [slice(a, b) for a, b in steps.reshape(-1, 2).tolist() if b - a > 1]


def draw_ground(canvas: Canvas, street: Street, shadow: NDArray[np.uint8]) -> None:
    """Draw all that lies on the ground.

    Args:
        canvas: with nothing drawn yet but what lies behind the ground.
        street: whose ground it is.
        shadow: (H, W) uint8, the share of light that reaches each pixel, 255 for all.
    """
    if canvas.camera.horizon < canvas.camera.size.height - 1:
        _Ground(canvas, street).draw()
        _light(canvas, shadow)


def _light(canvas: Canvas, shadow: NDArray[np.uint8]) -> None:
    camera, light = canvas.camera, canvas.light
    first = max(0, int(np.ceil(camera.horizon)))
    grain = _ground_grain(camera, first)
    kinds = canvas.class_map[first:]
    channels = cv2.split(grain)
    gain = channels[2]
    for class_id, channel in ((classes.ROAD, channels[0]), (classes.SIDEWALK, channels[1])):
        cv2.copyTo(channel, (kinds == class_id).view(np.uint8), gain)
    gain = cv2.multiply(gain, shadow[first:], scale=1 / 255)
    rows = np.arange(first, camera.size.height, dtype=np.float64)
    haze = 1 - np.exp(-light.fog_per_m * camera.ground_distance(rows))[:, None]
    air = stretched(light.horizon * haze, camera.size.width)
    bright = light.tint * light.shade((0, 1, 0)) * (1 - light.wet * 0.35)
    lit = np.clip(bright * (1 - haze) * 128, 0, 255)
    factor = cv2.multiply(cv2.merge([gain] * 3), stretched(lit, camera.size.width), scale=1 / 128)
    below = canvas.image[first:]
    cv2.multiply(below, factor, below, 1 / 128)
    cv2.add(below, air, below)


def _ground_grain(camera: Camera, first: int) -> NDArray[np.uint8]:
    """Brightness of the three ground textures, (H - first, W, 3) uint8, each row at the detail it can carry."""
    levels = texture.ground()
    side = levels[0].shape[0]
    texels_per_m = side / 16.0
    rows = np.arange(first, camera.size.height)
    distance = np.minimum(camera.ground_distance(rows.astype(np.float64)), 1e5)
    footprint = np.sqrt(distance / camera.focal * distance**2 / (camera.focal * camera.pose.height))
    wanted = np.clip(np.log2(np.maximum(footprint * texels_per_m, 1.0)), 0, len(levels) - 1).astype(int)
    grain = np.full((len(rows), camera.size.width, 3), 128, np.uint8)
    for level in np.unique(wanted[wanted < len(levels) - 1]):
        band = np.flatnonzero(wanted == level)
        scale = texels_per_m / 2.0**level
        # The tile repeats every 16 m: only the position within it matters, which keeps the numbers small for ever.
        place = np.array([camera.pose.x % 16.0, camera.pose.z % 16.0])
        to_tile = np.array([[scale, 0, scale * place[0]], [0, scale, scale * place[1]], [0, 0, 1.0]])
        shift = np.array([[1, 0, 0], [0, 1, first + band[0]], [0, 0, 1.0]])
        grain[band[0] : band[-1] + 1] = cv2.warpPerspective(
            levels[level],
            to_tile @ camera.ground_from_pixel() @ shift,
            (camera.size.width, len(band)),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_WRAP,
        )
    return grain
