"""A camera driving through a street: the built-in video source."""

from __future__ import annotations

import math

import numpy as np

from edgeseg.core.errors import UsageError
from edgeseg.core.geometry import Size
from edgeseg.scenes.camera import Pose
from edgeseg.scenes.chance import Layer, span, uniforms
from edgeseg.scenes.light import light_of
from edgeseg.scenes.render import Frame, check_size, draw
from edgeseg.scenes.world import World


class Drive:
    """An endless drive, every frame of which can be asked for alone.

    >>> image, class_map = Drive(seed=1, size=Size(height=360, width=640)).frame(90)

    Args:
        seed: any integer; it sets the street, the light and the camera.
        size: height and width, each 16 to 8192 pixels.
        fps: frames a second of the world's time.

    Raises:
        UsageError: a side of `size` is outside 16 to 8192, or `fps` is not above zero.
    """

    def __init__(self, seed: int, size: Size, fps: float = 30.0) -> None:
        check_size(size)
        if not (fps > 0 and math.isfinite(fps)):
            raise UsageError(f"a drive at {fps} frames a second; expected more than 0, for example 30")
        self.seed = seed
        self.size = size
        self.fps = fps
        self._world = World(seed)
        self._light = light_of(seed)
        u = uniforms(seed, Layer.CAMERA, 1, 8)[0]
        self._height = span(u[1], 1.3, 1.7)
        self._pitch = span(u[2], 0.0, 0.05)
        self._zoom = span(u[3], 0.62, 0.80)

    def frame(self, index: int) -> Frame:
        """Draw frame `index`, counted from 0: what `render_scene` returns, for this moment.

        Raises:
            UsageError: `index` is negative.
        """
        if index < 0:
            raise UsageError(f"frame {index} of a drive; expected 0 or more")
        seconds = index / self.fps
        street = self._world.street
        z = seconds * street.speed_m_s
        # A car sways and nods a little: without it the picture would slide like a slide show.
        sway, nod = 0.15 * np.sin(z / 23), 0.003 * np.sin(seconds * 7.3) + 0.002 * np.sin(seconds * 11.9)
        pose = Pose(
            x=float(street.centre(z)) + street.lane * 0.5 + float(sway),
            height=self._height,
            z=z,
            yaw=float(np.arctan(street.slope(z + 4.0))),
            pitch=self._pitch + float(nod),
            zoom=self._zoom,
        )
        noise_at = int(uniforms(self.seed, Layer.NOISE, index, 1)[0, 0] * 1e9)
        return draw(self._world, pose, self._light, self.size, seconds, noise_at)
