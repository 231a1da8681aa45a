"""VGG16's 13 convolutions (Simonyan, Zisserman 2015) as an encoder with a width multiplier."""

from __future__ import annotations

from typing import Any

from edgeseg.models.layers import convolution, scaled
from edgeseg.tf import keras

BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def vgg16(image: Any, width: float, batch_norm: bool) -> list[Any]:
    """Return pool1 to pool5: strides 2, 4, 8, 16, 32."""
    x, pools = image, []
    for block, (filters, convolutions) in enumerate(BLOCKS, start=1):
        for index in range(1, convolutions + 1):
            x = convolution(x, scaled(filters, width), 3, batch_norm, f"block{block}_conv{index}")
        x = keras.layers.MaxPooling2D(name=f"pool{block}")(x)
        pools.append(x)
    return pools
