"""How single things look: buildings, walls, overpasses, plants, posts and people."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeseg.scenes import classes, facade, plants, texture
from edgeseg.scenes.camera import Points
from edgeseg.scenes.canvas import Canvas, unit_normal
from edgeseg.scenes.light import Colour, rgb

Numbers = NDArray[np.float64]

_WALLS = (
    rgb(205, 195, 178),
    rgb(208, 160, 140),
    rgb(168, 98, 76),
    rgb(142, 82, 66),
    rgb(214, 186, 132),
    rgb(132, 152, 178),
    rgb(226, 222, 214),
    rgb(134, 92, 74),
    rgb(196, 150, 120),
    rgb(170, 182, 160),
)
_ROOFS = (rgb(122, 66, 52), rgb(88, 84, 86), rgb(104, 78, 62), rgb(70, 74, 84))


def standing(a: tuple[float, float], b: tuple[float, float], low: float, high: float) -> Points:
    """Corners (4, 3) of an upright wall from ground position a to b, each (x, z)."""
    return np.array([[a[0], low, a[1]], [b[0], low, b[1]], [b[0], high, b[1]], [a[0], high, a[1]]])


def _shade(canvas: Canvas, corners: Points) -> float:
    normal = unit_normal(corners)
    if np.dot(normal, canvas.camera.origin - corners[0]) < 0:
        normal = -normal
    return canvas.light.shade(normal)


def building(
    canvas: Canvas, front: tuple[tuple[float, float], tuple[float, float]], side: int, u: Numbers, house: bool
) -> None:
    """A building whose front runs between two ground positions (x, z); side says where its depth extends to."""
    if not canvas.camera.sees(np.array([front[0][0], 0.0, front[0][1]]), 24.0):
        return
    fronts = [f for f in facade.facades() if f.house == house]
    style = fronts[int(u[0] * len(fronts))]
    height = style.floors * facade.FLOOR_M * (0.95 + 0.25 * u[1])
    wall = _WALLS[int(u[2] * len(_WALLS))] * (0.85 + 0.3 * u[3])
    glass = canvas.light.zenith * 0.35 + rgb(50, 58, 66) * (0.5 + u[4])
    trim = (rgb(225, 222, 215), rgb(90, 84, 80), wall * 1.15, rgb(120, 76, 52))[int(u[5] * 4)]
    paint = np.stack([wall, glass, trim])
    deep = side * (9.0 + 5.0 * u[6])
    (x0, z0), (x1, z1) = front
    gable = facade.gables()[int(u[7] * 4)]
    roof = _ROOFS[int(u[8] * len(_ROOFS))]
    rise = (1.6 + 1.6 * u[9]) if house else 0.0
    for x, z in ((x1, z1), (x0, z0)):
        facing = (canvas.camera.pose.z < z) == (z == z0)
        if not facing:
            continue
        end = standing((x, z), (x + deep, z), 0, height)
        canvas.panel(end, gable, paint, _shade(canvas, end), classes.BUILDING)
        if rise:
            peak = np.array([end[3], end[2], [x + deep / 2, height + rise, z]])
            canvas.face(peak, wall * 0.95, _shade(canvas, end), classes.BUILDING)
    if rise:
        slope = np.array(
            [[x0, height, z0], [x1, height, z1], [x1 + deep / 2, height + rise, z1], [x0 + deep / 2, height + rise, z0]]
        )
        canvas.panel(slope, facade.gables()[0], np.stack([roof, roof, roof]), _shade(canvas, slope), classes.BUILDING)
    corners = standing(*front, 0, height)
    canvas.panel(corners, style.texture, paint, _shade(canvas, corners), classes.BUILDING)


def wall(
    canvas: Canvas, a: tuple[float, float], b: tuple[float, float], height: float, colour: Colour, kind: int
) -> None:
    """A concrete barrier or wall, 0.35 m thick, whose road face runs from a to b."""
    paint = np.stack([colour, colour * 0.45, colour])
    thick = 0.35 if a[0] + b[0] > 2 * canvas.camera.pose.x else -0.35
    if height < canvas.camera.pose.height:
        top = np.array(
            [[a[0], height, a[1]], [b[0], height, b[1]], [b[0] + thick, height, b[1]], [a[0] + thick, height, a[1]]]
        )
        canvas.panel(top, texture.concretes()[0], paint * 1.05, canvas.light.shade((0, 1, 0)), classes.CONCRETE)
    end = standing(a, (a[0] + thick, a[1]), 0, height)
    canvas.panel(end, texture.concretes()[0], paint, _shade(canvas, end), classes.CONCRETE)
    face = standing(a, b, 0, height)
    canvas.panel(face, texture.concretes()[kind], paint, _shade(canvas, face), classes.CONCRETE)


def overpass(canvas: Canvas, x: float, z: float, reach: tuple[float, float], colour: Colour, u: Numbers) -> None:
    """A bridge across the street, `reach` metres to its abutments on the left and right."""
    low, deck = 4.8 + 1.4 * u[0], 1.5 + 1.1 * u[1]
    high, depth = low + deck, 7.0 + 7.0 * u[2]
    tilt = (u[3] - 0.5) * 0.3
    paint = np.stack([colour, colour * 0.45, colour])
    left, right = -reach[0], reach[1]
    for at in (left, right):
        out = at + 9.0 * np.sign(at)
        rear = standing((x + at, z + tilt * at), (x + at, z + tilt * at + depth), 0, low + 0.1)
        canvas.panel(rear, texture.concretes()[2], paint, 0.8 * canvas.light.ambient, classes.CONCRETE)
        face = standing((x + at, z + tilt * at), (x + out, z + tilt * out), 0, high)
        canvas.panel(face, texture.concretes()[1], paint, _shade(canvas, face), classes.CONCRETE)
    wide = (x + left - 45, x + right + 45)
    ends = (z + tilt * (left - 45), z + tilt * (right + 45))
    under = np.array([[x_, low, z_ + d] for d in (0, depth) for x_, z_ in zip(wide, ends, strict=True)])[[0, 1, 3, 2]]
    canvas.face(under, colour, 0.45 * canvas.light.ambient, classes.CONCRETE)
    front = standing((wide[0], ends[0]), (wide[1], ends[1]), low, high)
    canvas.panel(front, texture.concretes()[2], paint, _shade(canvas, front), classes.CONCRETE)
    rail = standing((wide[0], ends[0]), (wide[1], ends[1]), high, high + 0.25)
    canvas.face(rail, colour * 1.1, _shade(canvas, rail), classes.CONCRETE)


def tree(canvas: Canvas, foot: Points, hue: float, u: Numbers, scale: float = 1.0) -> None:
    """A tree 5 to 12 m high, times `scale`."""
    if not canvas.camera.sees(foot, 6.0):
        return
    known = plants.trees()
    plant = known[int(u[0] * len(known))]
    height = (5.0 + 6.0 * u[1]) * scale
    canvas.sprite(
        foot,
        (_mirrored(canvas, height * plant.aspect), height),
        plant.texture,
        _leaves(hue, u[2:6], plant.conifer),
        _round(canvas),
        classes.TREE,
    )


def bush(canvas: Canvas, foot: Points, hue: float, u: Numbers) -> None:
    """Low growth, part of the landscaping."""
    if not canvas.camera.sees(foot, 3.0):
        return
    plant = plants.bushes()[int(u[0] * 4)]
    height = 0.6 + 0.6 * u[1]
    canvas.sprite(
        foot,
        (_mirrored(canvas, height * plant.aspect), height),
        plant.texture,
        _leaves(hue, u[2:6], False),
        _round(canvas),
        classes.LANDSCAPING,
    )


def _mirrored(canvas: Canvas, width: float) -> float:
    """The cut-outs are lit from the left."""
    return width if canvas.light.sun @ canvas.camera.rotation[0] < 0 else -width


def _round(canvas: Canvas) -> float:
    """Mean brightness of a round thing in the open."""
    return canvas.light.ambient + 0.55 * canvas.light.sun_strength


def _leaves(hue: float, u: Numbers, conifer: bool) -> Points:
    lit = rgb(104 + 40 * u[0], 142 + 22 * u[1], 44 + 26 * u[2])
    if conifer:
        lit = rgb(64 + 20 * u[0], 106 + 18 * u[1], 62 + 14 * u[2])
    elif hue < 0.16:
        lit = rgb(196 + 30 * u[0], 116 + 60 * u[1], 38 + 20 * u[2])
    elif hue > 0.92:
        lit = rgb(222, 176 + 20 * u[1], 186 + 20 * u[2])
    return np.stack([lit * 1.1, lit * (0.26 + 0.14 * u[3]), rgb(96, 76, 58) * (0.7 + 0.5 * u[3])])


def post(canvas: Canvas, foot: Points, side: int, u: Numbers) -> None:
    """A street lamp or a traffic sign."""
    if not canvas.camera.sees(foot, 3.0):
        return
    grey = rgb(92, 96, 100) * (0.6 + 0.6 * u[0])
    right = canvas.camera.rotation[0]
    lamp = u[1] < 0.55
    height, thick = (6.0 + 2.0 * u[2], 0.09) if lamp else (2.6 + 0.5 * u[2], 0.05)
    shade = _round(canvas)
    canvas.face(_upright(foot, right, -thick, thick, 0, height), grey, shade, classes.BACKGROUND)
    if lamp:
        arm = sorted((-side * 1.8, 0.0))
        canvas.face(_upright(foot, right, arm[0], arm[1], height - 0.12, height), grey, shade, classes.BACKGROUND)
        return
    colour = (rgb(196, 38, 34), rgb(40, 80, 170), rgb(235, 200, 50), rgb(40, 120, 80))[int(u[3] * 4)]
    angle = np.linspace(0, 2 * np.pi, (12, 4, 3, 8)[int(u[4] * 4)], endpoint=False) + np.pi / 2
    disc = foot + np.cos(angle)[:, None] * right + np.sin(angle)[:, None] * np.array([0, 1.0, 0])
    centre = foot + np.array([0, height - 0.3, 0])
    for reach, paint in ((0.46, colour), (0.3, rgb(235, 235, 235) if u[5] < 0.6 else colour * 0.8)):
        canvas.face(centre + (disc - foot) * reach, paint, shade, classes.BACKGROUND)


def person(canvas: Canvas, foot: Points, u: Numbers) -> None:
    """Somebody standing or walking."""
    if not canvas.camera.sees(foot, 2.0):
        return
    right, shade = canvas.camera.rotation[0], _round(canvas)
    tall = 1.55 + 0.3 * u[0]
    trousers, coat = rgb(40, 44, 60) * (0.6 + u[1]), rgb(60 + 150 * u[2], 50 + 120 * u[3], 50 + 140 * u[4])
    step = 0.08 + 0.16 * u[5]
    for way in (-1, 1):
        leg = _upright(foot, right, -0.09, 0.09, 0, tall * 0.5)
        leg[:2] += right * way * step
        leg[2:] += right * way * 0.07
        canvas.face(leg, trousers, shade, classes.BACKGROUND)
    canvas.face(_upright(foot, right, -0.24, 0.24, tall * 0.45, tall * 0.84), coat, shade, classes.BACKGROUND)
    angle = np.linspace(0, 2 * np.pi, 10, endpoint=False)[:, None]
    head = foot + np.cos(angle) * right * 0.11 + (tall * 0.92 + np.sin(angle) * 0.14) * np.array([0, 1.0, 0])
    canvas.face(head, rgb(205, 160, 130) * (0.5 + 0.6 * u[6]), shade, classes.BACKGROUND)


def _upright(foot: Points, right: Points, a: float, b: float, low: float, high: float) -> Points:
    up = np.array([0.0, 1.0, 0.0])
    return np.stack(
        [
            foot + right * a + up * low,
            foot + right * b + up * low,
            foot + right * b + up * high,
            foot + right * a + up * high,
        ]
    )
