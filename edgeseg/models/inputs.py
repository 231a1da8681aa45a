"""From camera pixels to the network's input: the one place on the training side."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeseg.core.spec import ModelSpec
from edgeseg.tf import tf


def network_input(frames: Any, spec: ModelSpec) -> Any:
    """Return (N, H, W, 3) float32 `(pixel - mean) * scale` in the spec's colour order, from BGR pixels of 0 to 255."""
    pixels = tf.cast(frames, tf.float32)
    if spec.colour_order == "rgb":
        pixels = tf.reverse(pixels, axis=[-1])
    return (pixels - np.array(spec.mean, np.float32)) * np.array(spec.scale, np.float32)


def padding_colour(spec: ModelSpec) -> tuple[int, int, int]:
    """Return the spec's mean as whole BGR pixels: what a padded picture is filled with."""
    mean = spec.mean[::-1] if spec.colour_order == "rgb" else spec.mean
    blue, green, red = (round(channel) for channel in mean)
    return blue, green, red
