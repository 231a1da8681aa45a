"""Augmentation: what may happen to a picture in training and leave its labels true."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np

from edgeseg.data.base import Image, Mask
from edgeseg.errors import UsageError


@dataclass(frozen=True)
class Augmentation:
    """Settings; 0 switches one off."""

    flip: float = field(default=0.5, metadata={"help": "probability of a mirror image, left and right"})
    brightness: float = field(default=0.2, metadata={"help": "the picture is multiplied by 1 - b to 1 + b"})
    contrast: float = field(
        default=0.2, metadata={"help": "distances from the picture's mean are multiplied by 1 - c to 1 + c"}
    )
    saturation: float = field(default=0.2, metadata={"help": "distances from grey are multiplied by 1 - s to 1 + s"})

    def __post_init__(self) -> None:
        for setting in fields(self):
            value = getattr(self, setting.name)
            if not 0 <= value <= 1:
                raise UsageError(f"augmentation {setting.name} = {value}; expected a number from 0 (off) to 1")

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
