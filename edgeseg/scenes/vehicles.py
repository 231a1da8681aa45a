"""Cars and vans: a side profile drawn out to the vehicle's width."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeseg.scenes import classes
from edgeseg.scenes.camera import Points
from edgeseg.scenes.canvas import Canvas, unit_normal
from edgeseg.scenes.light import Colour, rgb

_GLASS = rgb(42, 50, 60)
_TYRE = rgb(24, 24, 26)


class _Kind(NamedTuple):
    profile: tuple[tuple[float, float], ...]
    """Points (along, up), metres from the tail, from its lower end over the roof to the nose."""
    glass: tuple[int, ...]
    """Which edges of the profile are windows."""
    side: tuple[tuple[float, float], ...]
    """Outline of the side window."""
    width: float


_SALOON = _Kind(
    ((0, 0.35), (0, 0.95), (0.35, 1.0), (0.95, 1.45), (2.5, 1.47), (3.2, 0.98), (4.2, 0.85), (4.35, 0.35)),
    (2, 4),
    ((0.75, 1.0), (1.1, 1.38), (2.45, 1.4), (3.0, 1.0)),
    1.78,
)
_HATCH = _Kind(
    ((0, 0.35), (0.02, 0.95), (0.35, 1.52), (2.2, 1.55), (2.95, 1.0), (3.75, 0.9), (3.9, 0.35)),
    (1, 3),
    ((0.3, 1.0), (0.5, 1.45), (2.15, 1.47), (2.75, 1.02)),
    1.75,
)
_VAN = _Kind(
    ((0, 0.4), (0, 2.3), (3.9, 2.35), (4.6, 1.3), (5.2, 1.1), (5.3, 0.4)),
    (3,),
    ((3.1, 1.4), (3.1, 2.05), (3.85, 2.05), (4.3, 1.4)),
    2.0,
)
_TRUCK = _Kind(
    ((0, 0.7), (0, 3.2), (5.6, 3.2), (5.7, 2.7), (6.9, 2.7), (7.1, 1.4), (7.2, 0.5)),
    (4,),
    ((5.95, 1.6), (5.95, 2.4), (6.75, 2.4), (6.95, 1.6)),
    2.35,
)
_KINDS = (_SALOON, _HATCH, _SALOON, _HATCH, _SALOON, _HATCH, _VAN, _TRUCK)
_PAINTS = (
    rgb(196, 198, 202),
    rgb(232, 232, 230),
    rgb(36, 38, 42),
    rgb(110, 114, 120),
    rgb(150, 34, 34),
    rgb(34, 62, 122),
    rgb(60, 96, 70),
    rgb(206, 160, 40),
)


def vehicle(canvas: Canvas, tail: Points, heading: Points, u: NDArray[np.float64]) -> None:
    """A vehicle whose tail's middle stands at `tail` (3,), pointing along the unit vector `heading` (3,)."""
    if not canvas.camera.sees(tail, 8.0):
        return
    kind = _KINDS[int(u[0] * len(_KINDS))]
    profile = kind.profile
    paint = _PAINTS[int(u[1] * len(_PAINTS))] * (0.85 + 0.3 * u[2])
    across = np.array([heading[2], 0.0, -heading[0]]) * kind.width / 2
    middle = tail + np.array([[a, u_, 0] for a, u_ in profile])[:, :1] * heading
    middle[:, 1] = [up for _, up in profile]
    left, right = middle - across, middle + across
    _under(canvas, left, right)
    _ribbon(canvas, left, right, paint, kind.glass)
    eye = canvas.camera.origin - tail
    near, out = (left, -across) if eye @ across < 0 else (right, across)
    if abs(eye @ across) > np.linalg.norm(across) ** 2:
        _side(canvas, near, out / np.linalg.norm(out), heading, kind, paint)
    if eye @ heading < 0:
        _lamps(canvas, left[0], right[0], rgb(190, 26, 22), 0.95 if profile[1][1] < 2 else 1.2)
    else:
        _lamps(canvas, left[-1], right[-1], rgb(250, 246, 220), 0.72)


def _under(canvas: Canvas, left: Points, right: Points) -> None:
    """The dark gap above the road, with the wheels in it."""
    corners = np.array([left[0], right[0], right[-1], left[-1]])
    for a, b in ((0, 1), (1, 2), (2, 3), (3, 0)):
        low = corners[[a, b, b, a]] * np.array([1, 0, 1]) + np.array([[0, 0.05, 0]] * 2 + [[0, 0.5, 0]] * 2)
        canvas.face(low, _TYRE, 0.7, classes.BACKGROUND)


def _ribbon(canvas: Canvas, left: Points, right: Points, paint: Colour, glass: tuple[int, ...]) -> None:
    faces = []
    for k in range(len(left) - 1):
        corners = np.array([left[k], right[k], right[k + 1], left[k + 1]])
        normal = -unit_normal(corners)
        if normal @ (canvas.camera.origin - corners[0]) > 0:
            faces.append((float(canvas.camera.depth(corners).mean()), k, corners, normal))
    for _, k, corners, normal in sorted(faces, key=lambda face: -face[0]):
        canvas.face(corners, paint, canvas.light.shade(normal), classes.BACKGROUND)
        if k in glass:
            middle = corners.mean(axis=0)
            canvas.face(middle + (corners - middle) * 0.84, _GLASS + canvas.light.zenith * 0.2, 0.8, classes.BACKGROUND)


def _side(canvas: Canvas, outline: Points, normal: Points, heading: Points, kind: _Kind, paint: Colour) -> None:
    shade = canvas.light.shade(normal)
    canvas.face(outline, paint, shade, classes.BACKGROUND, convex=False)
    shape = np.array(kind.side)
    window = outline[0] * np.array([1, 0, 1]) + shape[:, :1] * heading + shape[:, 1:] * np.array([0, 1.0, 0])
    canvas.face(window, _GLASS, 0.9, classes.BACKGROUND)
    along = outline[-1] - outline[0]
    length = float(np.linalg.norm(along * np.array([1, 0, 1])))
    angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    for share in (0.2, 0.8):
        hub = outline[0] * np.array([1, 0, 1]) + along * share
        hub[1] = 0.32
        rim = np.cos(angle)[:, None] * along / length * 0.32 + np.sin(angle)[:, None] * np.array([0, 0.32, 0])
        canvas.face(hub + rim, _TYRE, 0.8, classes.BACKGROUND)
        canvas.face(hub + rim * 0.5, rgb(150, 150, 154), shade, classes.BACKGROUND)


def _lamps(canvas: Canvas, left: Points, right: Points, colour: Colour, height: float) -> None:
    across = right - left
    for share in (0.04, 0.78):
        low = left + across * share
        corners = np.array([low, low + across * 0.18, low + across * 0.18, low])
        corners[:, 1] = [height - 0.2, height - 0.2, height, height]
        canvas.face(corners, colour, 1.0, classes.BACKGROUND)
