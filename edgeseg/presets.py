"""The recipes of `edgeseg train`: three points on the curve of accuracy against time (docs/recipes.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from edgeseg.geometry import Crop, Size
from edgeseg.settings import TrainSettings

# What a preset decides; everything else has one default for all (edgeseg/settings.py).
DECIDED = ("model", "encoder", "width", "score_stride", "size", "train_size", "steps", "validate_every")
PRESETS: dict[str, dict[str, Any]] = {
    "fast": {"model": "fcn8", "encoder": "compact", "width": 0.375},
    "balanced": {"model": "unet", "encoder": "compact", "width": 0.5, "score_stride": 4},
    "accurate": {"model": "unet", "encoder": "compact", "width": 0.75, "score_stride": 4},
}
STEPS = 10_000
DEFAULT = "balanced"
_NETWORK = {"model", "encoder", "weights", "init"}  # whoever names one of them chooses a network of their own
_LENGTH = {"epochs", "steps", "minutes"}
MOST_PIXELS = 480 * 360  # CamVid's: about what a Jetson Orin Nano or a laptop's CPU does in real time
STRIDE = 32  # a multiple of every network's
WINDOW_SHARE, LEAST_WINDOW = 0.73, 256


def network_size(picture: Size, crop: Crop | None = None) -> Size:
    """Return the size to train at for such pictures, or this part of them: their shape, about MOST_PIXELS at most."""
    height, width = picture
    if crop:
        height, width = round(height * crop.height), round(width * crop.width)
    scale = min(1.0, math.sqrt(MOST_PIXELS / (width * height)))
    return Size(*(max(STRIDE, round(side * scale / STRIDE) * STRIDE) for side in (height, width)))


def window_size(size: Size) -> Size:
    """Return the windows to train on: about half of what the network sees, so that the same time shows twice as many.

    Sides of up to LEAST_WINDOW pixels stay whole: less would lose what tells classes apart.
    """
    return Size(*(min(side, max(LEAST_WINDOW, round(side * WINDOW_SHARE / STRIDE) * STRIDE)) for side in size))


def preset_options(
    name: str, given: Mapping[str, Any], picture: Size | None, crop: Crop | None = None
) -> dict[str, Any]:
    """Return the settings of a preset, without what is given.

    Args:
        name: of PRESETS.
        given: settings that the user chose, by name. One that names a network, or how long to train, takes the place
            of all that the preset says about it.
        picture: the size of the data's pictures; not needed where `given` has the size.
        crop: the part of them that is used.
    """
    chosen = dict(PRESETS[name], steps=STEPS, validate_every=0)
    for group, keys in ((_NETWORK, PRESETS[name]), (_LENGTH, ("steps",))):
        if group & given.keys():
            chosen = {key: value for key, value in chosen.items() if key not in keys}
    size = given.get("size") or (network_size(picture, crop) if picture else TrainSettings.size)
    chosen |= {"size": size, "train_size": window_size(size)}
    return {key: value for key, value in chosen.items() if key not in given}
