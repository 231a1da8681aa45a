"""FCN-8s: fully convolutional VGG16 with scores at three strides (Long, Shelhamer, Darrell 2015)."""

from __future__ import annotations

from typing import Any

from edgeseg.geometry import Size
from edgeseg.models.layers import convolution, scaled, upsampling
from edgeseg.models.vgg import vgg16
from edgeseg.tf import keras

FC_FILTERS = 4096

# Layers


def score(x: Any, classes: int, name: str) -> Any:
    """1x1 convolution to class scores."""
    return keras.layers.Conv2D(classes, 1, kernel_initializer="he_normal", name=name)(x)


def fully_connected(x: Any, width: float, dropout: float, batch_norm: bool) -> Any:
    """fc6 and fc7 as convolutions."""
    for name, kernel in (("fc6", 7), ("fc7", 1)):
        x = convolution(x, scaled(FC_FILTERS, width), kernel, batch_norm, name)
        x = keras.layers.Dropout(dropout, name=f"{name}_dropout")(x)
    return x


# Functional Model


def fcn8(input_size: Size, classes: int, width: float, dropout: float, batch_norm: bool) -> Any:
    """FCN-8s from (N, H, W, 3) normalised pixels to (N, H, W, classes) float32 logits.

    The skips are added unscaled: the published factors are for raw VGG features, with batch norm they hurt.
    """
    image = keras.Input((*input_size, 3), name="image")
    _, _, pool3, pool4, pool5 = vgg16(image, width, batch_norm)
    x = score(fully_connected(pool5, width, dropout, batch_norm), classes, "score_fc7")
    x = upsampling(x, classes, 2, "up_fc7")
    x = keras.layers.Add(name="add_pool4")([x, score(pool4, classes, "score_pool4")])
    x = upsampling(x, classes, 2, "up_pool4")
    x = keras.layers.Add(name="add_pool3")([x, score(pool3, classes, "score_pool3")])
    logits = upsampling(x, classes, 8, "logits", dtype="float32")
    return keras.Model(image, logits, name="fcn8")
