"""The recipes of `edgeseg train`: three points on the curve of accuracy against time (docs/recipes.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeseg.core.geometry import Crop, Size
from edgeseg.data.base import Dataset
from edgeseg.models.initial_network import run_spec
from edgeseg.training.settings import TrainSettings

PRESETS: dict[str, dict[str, Any]] = {
    "fast": {"model": "fcn8", "encoder": "compact", "width": 0.375},
    "balanced": {"model": "unet", "encoder": "compact", "width": 0.5, "score_stride": 4},
    "accurate": {"model": "unet", "encoder": "compact", "width": 0.75, "score_stride": 4},
}
DEFAULT = "balanced"
STEPS = 12_000
WEIGHTS: dict[str, Any] = {"ema": 0.998, "weight_decay": 0.02}
# What a preset decides, which includes that --epochs does not count; all else has one default (training/settings.py).
DECIDED = (
    *("model", "encoder", "width", "score_stride", "size", "train_size"),
    *("epochs", "steps", "validate_every", *WEIGHTS),
)
OWN_NETWORK = {"model": "", "encoder": "auto", "weights": "none", "init": ""}
_OWN_LENGTH = {"epochs": None, "steps": None, "minutes": 0.0}
MOST_PIXELS = 480 * 360  # CamVid's
STRIDE = 32  # a multiple of every network's
WINDOW_SHARE, LEAST_WINDOW = 0.73, 256


def picture_size(dataset: Dataset) -> Size:
    """Return the size of the first picture for training, or of all if there is none for it. Raises DataError."""
    split = "train" if "train" in dataset.splits or not dataset.splits else dataset.splits[0]
    return Size(*dataset.split(split)[0].read_image().shape[:2])


def chosen_among(neutral: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Return which of the settings named in `neutral` are given, but not as the value there, which says nothing."""
    return [name for name, nothing in neutral.items() if given.get(name, nothing) != nothing]


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


def with_preset(name: str, given: Mapping[str, Any], picture: Size | None, crop: Crop | None = None) -> dict[str, Any]:
    """Return the settings of a new run by name: what is given, and the preset's where that says nothing.

    Args:
        name: of PRESETS.
        given: settings that the user chose. One that chooses a network, or how long to train, takes the place of all
            that the preset says about it; a run to start from has its network.
        picture: the size of the data's pictures; not needed where `given` has the size.
        crop: the part of them that is used.

    Raises:
        ModelError: the run to start from cannot be read.
    """
    neutral = {**OWN_NETWORK, **_OWN_LENGTH}
    given = {key: value for key, value in given.items() if key not in neutral or value != neutral[key]}
    chosen: dict[str, Any] = {"validate_every": 0}
    if given.get("optimizer", TrainSettings.optimizer) == TrainSettings.optimizer:
        chosen |= WEIGHTS
    if not chosen_among(OWN_NETWORK, given):
        chosen |= PRESETS[name]
    elif "init" in given and "model" not in given:
        before = run_spec(Path(given["init"]))
        chosen |= {"model": before.architecture, "encoder": before.encoder}
    if not chosen_among(_OWN_LENGTH, given):
        chosen |= {"steps": STEPS}
    size = given.get("size") or (network_size(picture, crop) if picture else TrainSettings.size)
    return {**chosen, "size": size, "train_size": window_size(size), **given}
