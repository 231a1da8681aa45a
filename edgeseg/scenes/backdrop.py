"""What is always there and never comes nearer: the sky and the far land under it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.scenes import classes, texture
from edgeseg.scenes.canvas import Canvas
from edgeseg.scenes.light import Colour, rgb
from edgeseg.scenes.street import Street

if TYPE_CHECKING:
    from cv2.typing import MatLike  # not in OpenCV before 4.8, such as Ubuntu's and Debian's

Row = NDArray[np.float64]


def draw_sky(canvas: Canvas, drift: float) -> None:
    """Fill everything above the horizon; `drift` moves the clouds, in cloud pictures."""
    light, camera = canvas.light, canvas.camera
    rows = min(camera.size.height, int(np.ceil(camera.horizon)) + 1)
    canvas.class_map[:] = classes.SKY
    if rows <= 0:
        return
    side = texture.clouds().shape[0]
    to_tile = np.array([[side * 0.22, 0, side * drift], [0, side * 0.22, 0], [0, 0, 1]])
    density = cv2.warpPerspective(
        texture.clouds(),
        to_tile @ camera.sky_from_pixel() * -1.0,
        (camera.size.width, rows),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_WRAP,
    )
    height = (camera.horizon - np.arange(rows)) / camera.focal
    rise = np.clip(height / 0.5, 0, 1)[:, None] ** 0.6
    clear = light.horizon + (light.zenith - light.horizon) * rise
    # Clouds melt into the haze towards the horizon, where their plane would be infinitely far.
    thick = np.clip(height / 0.12, 0, 1)[:, None]
    column = np.dstack([clear, (light.cloud - clear) * thick]).astype(np.float32)
    density = _cover(density, light.cloud_cover)
    alpha = cv2.merge([density] * 3)
    base = stretched(clear, camera.size.width)
    veil = stretched(np.abs(column[:, :, 1]), camera.size.width)
    lighter = cv2.multiply(alpha, veil, scale=1 / 255)
    sign = light.cloud.mean() >= clear.mean()
    canvas.image[:rows] = cv2.add(base, lighter) if sign else cv2.subtract(base, lighter)


def _cover(density: MatLike, cover: float) -> MatLike:
    ramp = np.clip((np.arange(256) / 255 - (1 - cover)) / 0.35, 0, 1)
    return cv2.LUT(density, (ramp * 255).astype(np.uint8))


def stretched(column: NDArray[np.floating], width: int) -> NDArray[np.uint8]:
    """One colour a row, (H, 3), as a picture (H, width, 3) uint8."""
    pixels = np.clip(column, 0, 255).astype(np.uint8)[:, None]
    return np.asarray(cv2.resize(pixels, (width, len(column)), interpolation=cv2.INTER_NEAREST), np.uint8)


def draw_far_land(canvas: Canvas, street: Street) -> None:
    """Hills, a skyline and woods too far away to come nearer."""
    camera, u = canvas.camera, street.far
    columns = np.linspace(-2, camera.size.width + 2, 97)
    bearing = camera.pose.yaw + np.arctan((columns - camera.centre[0]) / camera.focal)
    hills = 0.03 + 0.13 * u[0] * (0.55 + 0.3 * np.sin(2 * bearing + 6 * u[1]) + 0.15 * np.sin(7 * bearing + 6 * u[2]))
    colour = rgb(70, 92, 78) + rgb(40, 8, 42) * u[3]
    light = canvas.light
    if u[4] < 0.7:
        _ridge(canvas, columns, hills, light.seen(colour, light.ambient + 0.2, 160), classes.BACKGROUND)
        lower = 0.6 * hills * (0.8 + 0.2 * np.sin(11 * bearing + 6 * u[5]))
        _ridge(canvas, columns, lower, light.seen(colour * 0.8, light.ambient + 0.2, 120), classes.BACKGROUND)
    if u[6] < 0.6:
        crowns = (
            0.03
            + 0.012 * np.sin(5 * bearing + 6 * u[7])
            + 0.007 * np.abs(np.sin(60 * bearing + 3 * np.sin(23 * bearing)))
        )
        wood = light.seen(rgb(48, 72, 38), light.ambient + 0.15, 110)
        _ridge(canvas, columns, crowns * (0.6 + u[8]), wood, classes.TREE)


def _ridge(canvas: Canvas, columns: Row, heights: Row, colour: Colour, class_id: int) -> None:
    camera = canvas.camera
    top = np.stack([columns, camera.horizon - heights * camera.focal], axis=1)
    base = np.array([[columns[-1], camera.horizon + 2], [columns[0], camera.horizon + 2]])
    canvas.fill(np.concatenate([top, base]), colour, class_id, convex=False)
