"""The recipes of `edgeseg train`: three points on the curve of accuracy against time, and one for data that are no
photographs (docs/recipes.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeseg.core.geometry import Crop, Size
from edgeseg.data.base import Dataset
from edgeseg.models.initial_network import run_spec
from edgeseg.training.settings import TrainSettings


@dataclass(frozen=True)
class Preset:
    """A recipe.

    Attributes:
        network: settings of TrainSettings that choose it.
        steps: how long it trains.
        pixels: about so many the network sees at most.
    """

    network: Mapping[str, Any]
    steps: int
    pixels: int


MOST_PIXELS = 480 * 360  # CamVid's
_LITE0 = {
    "model": "unet",
    "encoder": "efficientnet_lite0",
    "weights": "imagenet",
    "decoder": "light",
    "score_stride": 4,
}
PRESETS: dict[str, Preset] = {
    "fast": Preset({**_LITE0, "decoder_width": 32}, 4_000, 320 * 256),
    "balanced": Preset(_LITE0, 4_000, MOST_PIXELS),
    "accurate": Preset({**_LITE0, "encoder": "efficientnet_lite2", "decoder_width": 96}, 4_000, 576 * 416),
    "scratch": Preset({"model": "unet", "encoder": "compact", "width": 0.5, "score_stride": 4}, 12_000, MOST_PIXELS),
}
DEFAULT, SCRATCH = "balanced", "scratch"
WEIGHTS: dict[str, Any] = {"ema": 0.998, "weight_decay": 0.02}
# What a preset decides, which includes that --epochs does not count; all else has one default (training/settings.py).
DECIDED = (
    *("model", "encoder", "weights", "width", "decoder", "decoder_width", "score_stride", "size", "train_size"),
    *("epochs", "steps", "validate_every", *WEIGHTS),
)
OWN_NETWORK = {"model": "", "encoder": "auto", "init": ""}
_OWN_LENGTH = {"epochs": None, "steps": None, "minutes": 0.0}
STRIDE = 32  # a multiple of every network's
WINDOW_SHARE, LEAST_WINDOW = 0.73, 256


def picture_size(dataset: Dataset) -> Size:
    """Return the size of the first picture for training, or of all if there is none for it. Raises DataError."""
    split = "train" if "train" in dataset.splits or not dataset.splits else dataset.splits[0]
    return Size(*dataset.split(split)[0].read_image().shape[:2])


def chosen_among(neutral: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Return which of the settings named in `neutral` are given, but not as the value there, which says nothing."""
    return [name for name, nothing in neutral.items() if given.get(name, nothing) != nothing]


def network_size(picture: Size, crop: Crop | None = None, pixels: int = MOST_PIXELS) -> Size:
    """Return the size to train at for such pictures, or this part of them: their shape, at most about `pixels`."""
    height, width = picture
    if crop:
        height, width = round(height * crop.height), round(width * crop.width)
    scale = min(1.0, math.sqrt(pixels / (width * height)))
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
            that the preset says about it; a run to start from has its network. Other weights leave the network.
        picture: the size of the data's pictures; not needed where `given` has the size.
        crop: the part of them that is used.

    Raises:
        ModelError: the run to start from cannot be read.
    """
    preset = PRESETS[name]
    neutral = {**OWN_NETWORK, **_OWN_LENGTH}
    given = {key: value for key, value in given.items() if key not in neutral or value != neutral[key]}
    chosen: dict[str, Any] = {"validate_every": 0}
    if given.get("optimizer", TrainSettings.optimizer) == TrainSettings.optimizer:
        chosen |= WEIGHTS
    has_own_network = bool(chosen_among(OWN_NETWORK, given))
    if not has_own_network:
        chosen |= preset.network
    elif "init" in given and "model" not in given:
        before = run_spec(Path(given["init"]))
        chosen |= {"model": before.architecture, "encoder": before.encoder}
    if not chosen_among(_OWN_LENGTH, given):
        chosen |= {"steps": preset.steps if _starts_from_something({**chosen, **given}) else PRESETS[SCRATCH].steps}
    size = given.get("size") or (network_size(picture, crop, preset.pixels) if picture else TrainSettings.size)
    return {**chosen, "size": size, "train_size": window_size(size), **given}


def _starts_from_something(settings: Mapping[str, Any]) -> bool:
    return bool(settings.get("init")) or settings.get("weights", "none") != "none"
