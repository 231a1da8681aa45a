"""Augmentation: what may happen to a picture in training and leave its labels true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeseg.data.base import Image, Mask
from edgeseg.setting import check_settings, setting


@dataclass(frozen=True)
class Augmentation:
    """Settings; 0 switches one off."""

    flip: float = setting(0.5, "probability of a mirror image, left and right", between=(0, 1))
    brightness: float = setting(0.2, "the picture is multiplied by 1 - b to 1 + b", between=(0, 1))
    contrast: float = setting(0.2, "distances from the picture's mean are multiplied by 1 - c to 1 + c", between=(0, 1))
    saturation: float = setting(0.2, "distances from grey are multiplied by 1 - s to 1 + s", between=(0, 1))

    def __post_init__(self) -> None:
        check_settings(self, "augmentation ")

    @property
    def changes_colour(self) -> bool:
        return bool(self.brightness or self.contrast or self.saturation)


NONE = Augmentation(flip=0, brightness=0, contrast=0, saturation=0)


def augment_shape(
    image: Image, class_map: Mask, settings: Augmentation, random: np.random.Generator
) -> tuple[Image, Mask]:
    """Move image (H, W, 3) and class map (H, W) together; both uint8 at the network's size."""
    if random.random() < settings.flip:
        return image[:, ::-1], class_map[:, ::-1]
    return image, class_map
