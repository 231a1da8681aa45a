"""VGG16's 13 convolutions (Simonyan, Zisserman 2015) as an encoder with a width multiplier."""

from __future__ import annotations

from typing import Any

from edgeseg.models.features import Features
from edgeseg.models.layers import convolution, scaled
from edgeseg.models.options import NetworkOptions
from edgeseg.tf import keras

BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
FC_FILTERS = 4096


def vgg16(image: Any, options: NetworkOptions) -> Features:
    """Return the convolutions' features: skips at strides 1 to 16, pools at 8 and 16, pool5 at 32."""
    x, skips, pools = image, {}, {}
    for block, (filters, convolutions) in enumerate(BLOCKS, start=1):
        for index in range(1, convolutions + 1):
            name = f"block{block}_conv{index}"
            x = convolution(x, scaled(filters, options.width), 3, options.batch_norm, name)
        skips[2 ** (block - 1)] = x
        x = keras.layers.MaxPooling2D(name=f"pool{block}")(x)
        pools[2**block] = x
    return Features(skips, pools, x)


def fully_connected(x: Any, options: NetworkOptions) -> Any:
    """fc6 (7x7) and fc7 (1x1) as convolutions, 4096 filters each at width 1."""
    for name, kernel in (("fc6", 7), ("fc7", 1)):
        x = convolution(x, scaled(FC_FILTERS, options.width), kernel, options.batch_norm, name)
        x = keras.layers.Dropout(options.dropout, name=f"{name}_dropout")(x)
    return x
