"""From a world, a pose and a light to a picture and its mask."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import UsageError
from edgeseg.core.geometry import Size
from edgeseg.scenes import backdrop, classes
from edgeseg.scenes.camera import Camera, Pose
from edgeseg.scenes.canvas import Canvas, clipped, fixed_point
from edgeseg.scenes.chance import Layer, span, uniforms
from edgeseg.scenes.ground import draw_ground
from edgeseg.scenes.light import Light, light_of
from edgeseg.scenes.world import Item, World

if TYPE_CHECKING:
    from cv2.typing import MatLike  # not in OpenCV before 4.8, such as Ubuntu's and Debian's

Frame = tuple[NDArray[np.uint8], NDArray[np.uint8]]

SMALLEST, LARGEST = 16, 8192
_NOISE_MARGIN = 64
_SHADOW_M = 100.0
"""Shadows further off are a hair's breadth on the picture."""


def render_scene(seed: int, size: Size) -> Frame:
    """Draw the road scene of a seed.

    Every seed is another street, camera, light and weather; the same seed is the same scene at every size. On machines
    with other SIMD instructions its picture may differ by 2 grey levels; the class map is equal.

    Args:
        seed: any integer.
        size: height and width, each 16 to 8192 pixels.

    Returns:
        The picture, (H, W, 3) uint8 BGR, and its class map, (H, W) uint8 with the ids of `CLASSES`, none ignored.

    Raises:
        UsageError: a side of `size` is outside 16 to 8192.
    """
    check_size(size)
    world = World(seed)
    u = uniforms(seed, Layer.CAMERA, 0, 10)[0]
    lane = (world.street.lanes[1] if u[8] < 0.7 else 1) - 0.5
    z = span(u[0], 0, 600)
    offset = lane * world.street.lane + span(u[1], -1.0, 1.0)
    if u[9] < 0.25:
        offset = -offset
    pose = Pose(
        x=float(world.street.centre(z)) + offset,
        height=span(u[2], 1.15, 2.3),
        z=z,
        yaw=float(np.arctan(world.street.slope(z))) + span(u[3], -0.22, 0.22),
        pitch=span(u[4], -0.08, 0.15),
        zoom=span(u[5], 0.55, 0.95),
    )
    return draw(world, pose, light_of(seed), size, seconds=0.0, noise_at=int(u[6] * 1e9))


def check_size(size: Size) -> None:
    """Raise UsageError unless a picture of this size can be drawn."""
    if not all(SMALLEST <= side <= LARGEST for side in size):
        raise UsageError(f"scene size {size.width}x{size.height}; expected sides of {SMALLEST} to {LARGEST} pixels")


def draw(world: World, pose: Pose, light: Light, size: Size, seconds: float, noise_at: int) -> Frame:
    """Draw what a camera sees; `seconds` moves traffic and clouds, `noise_at` picks the sensor noise."""
    canvas = Canvas(Camera(pose, size), light)
    items = world.items(pose.x, pose.z, seconds)
    backdrop.draw_sky(canvas, seconds * 0.002 + world.seed % 97 / 97)
    backdrop.draw_far_land(canvas, world.street)
    draw_ground(canvas, world.street, _shadows(canvas, items))
    for item in items:
        item.draw(canvas)
    return _developed(canvas, noise_at), canvas.class_map


def _shadows(canvas: Canvas, items: list[Item]) -> NDArray[np.uint8]:
    light, camera = canvas.light, canvas.camera
    shadow = np.full(camera.size, 255, np.uint8)
    full = light.shade((0, 1, 0))
    dark = 255 * light.ambient / full
    slant = -light.sun[[0, 2]] / light.sun[1]
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    for item in items:
        if item.shadow is None:
            continue
        x, z, radius, height = item.shadow
        contact = height < 1
        reach = radius + height * float(np.hypot(*slant))
        if item.far - camera.pose.z > _SHADOW_M or not camera.sees(np.array([x, 0.0, z]), reach):
            continue
        rim = np.array([x, z]) + circle * radius * (np.array([0.6, 1.3]) if contact else 1.0)
        if not contact:
            top = rim + slant * height
            rim = cv2.convexHull(np.concatenate([rim * 0.25 + np.array([x, z]) * 0.75, top]).astype(np.float32))[:, 0]
        corners = np.stack([rim[:, 0], np.zeros(len(rim)), rim[:, 1]], axis=1)
        corners = clipped(corners, camera.depth(corners))
        if len(corners) < 3:
            continue
        level = (dark + 255) / 2 * 0.75 if contact else dark
        cv2.fillConvexPoly(shadow, fixed_point(camera.project(corners)), float(level), cv2.LINE_8, 4)
    return shadow


def _developed(canvas: Canvas, noise_at: int) -> NDArray[np.uint8]:
    """What the lens, the sensor and its processing make of the light."""
    light = canvas.light
    if light.wet:
        _mirror(canvas)
    image: MatLike = canvas.image
    sigma = light.blur * image.shape[1]
    if sigma > 0.3:
        image = cv2.GaussianBlur(image, (0, 0), sigma)
    curve = 255 * (np.arange(256) / 255) ** light.gamma
    image = cv2.LUT(image, np.clip(curve, 0, 255).astype(np.uint8))
    tile = _noise(image.shape[0], image.shape[1])
    top, left = noise_at % _NOISE_MARGIN, noise_at // _NOISE_MARGIN % _NOISE_MARGIN
    grain = tile[top : top + image.shape[0], left : left + image.shape[1]]
    strength = light.noise / 32
    return np.asarray(cv2.addWeighted(image, 1.0, grain, strength, -128 * strength), np.uint8)


def _mirror(canvas: Canvas) -> None:
    """Wet asphalt shows, dimly, what stands above the horizon."""
    image, horizon = canvas.image, round(canvas.camera.horizon)
    rows = min(image.shape[0] - horizon, horizon)
    if horizon <= 0 or rows <= 0:
        return
    below = image[horizon:]
    upside = cv2.blur(cv2.flip(image[horizon - rows : horizon], 0), (1, max(1, rows // 12)))
    upside = cv2.copyMakeBorder(upside, 0, len(below) - rows, 0, 0, cv2.BORDER_REPLICATE)
    wet = cv2.addWeighted(below, 1 - 0.4 * canvas.light.wet, upside, 0.4 * canvas.light.wet, 0)
    cv2.copyTo(wet, (canvas.class_map[horizon:] == classes.ROAD).view(np.uint8), below)


@lru_cache(maxsize=2)
def _noise(height: int, width: int) -> NDArray[np.uint8]:
    """Sensor noise around 128 with a deviation of 32, with a margin to shift it by."""
    shape = (height + _NOISE_MARGIN, width + _NOISE_MARGIN, 3)
    values = np.random.default_rng(108).standard_normal(shape, np.float32)
    return np.clip(values * 32 + 128, 0, 255).astype(np.uint8)
