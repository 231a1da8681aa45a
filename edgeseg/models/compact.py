"""A small residual encoder for real time: 3 million parameters at width 1.

Basic residual blocks (He et al. 2016) after a stem that leaves the fine strides quickly, where a network spends most of
its time; a channel gate on the last features (squeeze and excitation, Hu, Shen, Sun 2018) lets the whole picture speak.
"""

from __future__ import annotations

from typing import Any

from edgeseg.models.features import Features
from edgeseg.models.layers import convolution, scaled
from edgeseg.models.options import NetworkOptions
from edgeseg.tf import keras

STEM = (24, 48)
BLOCKS = ((48, 1), (96, 2), (96, 1), (192, 2), (192, 1), (288, 2))  # filters, stride


def compact(image: Any, options: NetworkOptions) -> Features:
    """Return features at strides 2 to 16, and gated ones at 32."""
    x, skips, stride = image, {}, 1
    for index, filters in enumerate(STEM, start=1):
        x = convolution(x, scaled(filters, options.width), 3, options.batch_norm, f"stem{index}", strides=2)
        stride *= 2
        skips[stride] = x
    for index, (filters, step) in enumerate(BLOCKS, start=1):
        x = residual_block(x, scaled(filters, options.width), step, options.batch_norm, f"block{index}")
        stride *= step
        skips[stride] = x
    del skips[stride]
    return Features(skips, skips, channel_gate(x, "gate"))


def residual_block(x: Any, filters: int, strides: int, batch_norm: bool, name: str) -> Any:
    """Two 3x3 convolutions beside a shortcut, a 1x1 convolution where the shape changes."""
    shortcut = x
    if strides != 1 or x.shape[-1] != filters:
        shortcut = convolution(x, filters, 1, batch_norm, f"{name}_shortcut", strides, relu=False)
    x = convolution(x, filters, 3, batch_norm, f"{name}_conv1", strides)
    x = convolution(x, filters, 3, batch_norm, f"{name}_conv2", relu=False)
    x = keras.layers.Add(name=f"{name}_add")([shortcut, x])
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def channel_gate(x: Any, name: str) -> Any:
    """Multiply each channel by a factor of 0 to 1 that depends on all channels' means over the picture."""
    means = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")(x)
    factors = keras.layers.Conv2D(x.shape[-1], 1, activation="sigmoid", name=f"{name}_factor")(means)
    return keras.layers.Multiply(name=f"{name}_multiply")([x, factors])
