"""U-Net (Ronneberger, Fischer, Brox 2015), the compact one of three levels."""

from __future__ import annotations

from typing import Any

from edgeseg.geometry import Size
from edgeseg.models.layers import convolution, scaled, upsampling
from edgeseg.tf import keras

LEVELS = (64, 128, 256)
BOTTOM = 512

# Layers


def double_convolution(x: Any, filters: int, batch_norm: bool, name: str) -> Any:
    """Two 3x3 convolutions; unlike the paper's they are padded, so that masks have the picture's size."""
    x = convolution(x, filters, 3, batch_norm, f"{name}_conv1")
    return convolution(x, filters, 3, batch_norm, f"{name}_conv2")


# Functional Model


def unet(input_size: Size, classes: int, width: float, dropout: float, batch_norm: bool) -> Any:
    """U-Net from (N, H, W, 3) normalised pixels to (N, H, W, classes) float32 logits."""
    image = keras.Input((*input_size, 3), name="image")
    x, skips = image, []
    for level, filters in enumerate(LEVELS, start=1):
        x = double_convolution(x, scaled(filters, width), batch_norm, f"down{level}")
        skips.append(x)
        x = keras.layers.MaxPooling2D(name=f"pool{level}")(x)
    x = double_convolution(x, scaled(BOTTOM, width), batch_norm, "bottom")
    x = keras.layers.Dropout(dropout, name="bottom_dropout")(x)
    for level, filters in reversed(list(enumerate(LEVELS, start=1))):
        x = upsampling(x, scaled(filters, width), 2, f"up{level}")
        x = keras.layers.Concatenate(name=f"skip{level}")([skips[level - 1], x])
        x = double_convolution(x, scaled(filters, width), batch_norm, f"up{level}")
    logits = keras.layers.Conv2D(classes, 1, name="logits", dtype="float32")(x)
    return keras.Model(image, logits, name="unet")
