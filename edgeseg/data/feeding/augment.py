"""Augmentation: what may happen to a picture in training and leave its labels true. Off wherever is measured."""

from __future__ import annotations

from dataclasses import dataclass

from edgeseg.core.settings import check_settings, setting


@dataclass(frozen=True)
class Augmentation:
    """How far each change may go; each picture of each epoch draws its own. See docs/augmentation.md.

    The defaults are those of docs/recipes.md; 0, or 1 for the scales, switches a change off.
    """

    flip: float = setting(0.5, "probability of a mirror image, left and right", between=(0, 1))
    scale_min: float = setting(
        0.6, "the picture is enlarged by at least this; below 1 it gets padding", between=(0.1, 1)
    )
    scale_max: float = setting(
        2.0, "the picture is enlarged by at most this, and cut at a random place", between=(1, 10)
    )
    zoom: float = setting(0.0, "width and height are each multiplied by 1 / (1 + z) to 1 + z", between=(0, 4))
    rotation: float = setting(3.0, "the picture is turned by up to so many degrees, either way", between=(0, 180))
    translation: float = setting(0.0, "the picture is moved by up to this share of each side", between=(0, 1))
    brightness: float = setting(0.4, "the picture is multiplied by 1 - b to 1 + b", between=(0, 1))
    contrast: float = setting(0.4, "distances from the picture's mean are multiplied by 1 - c to 1 + c", between=(0, 1))
    saturation: float = setting(0.8, "distances from grey are multiplied by 1 - s to 1 + s", between=(0, 1))
    hue: float = setting(5.0, "colours are turned about grey by up to so many degrees, either way", between=(0, 180))
    white_balance: float = setting(0.4, "red and blue are each multiplied by 1 / (1 + w) to 1 + w", between=(0, 4))
    blur: float = setting(1.0, "Gaussian blur of up to so many pixels (sigma)", between=(0, 20))
    noise: float = setting(0.0, "Gaussian noise of up to so many grey levels (sigma)", between=(0, 100))

    def __post_init__(self) -> None:
        check_settings(self, "augmentation ")


NONE = Augmentation(
    flip=0,
    scale_min=1,
    scale_max=1,
    rotation=0,
    brightness=0,
    contrast=0,
    saturation=0,
    hue=0,
    white_balance=0,
    blur=0,
)
