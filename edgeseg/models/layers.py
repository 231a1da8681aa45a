"""Layers that the architectures share."""

from __future__ import annotations

from typing import Any

from edgeseg.models.bilinear import Bilinear
from edgeseg.tf import keras

BATCH_NORM_MOMENTUM = 0.9  # Keras's 0.99 lags behind in the short trainings that road data sets allow


def scaled(filters: int, width: float) -> int:
    """Return the number of filters at a width multiplier, at least 1."""
    return max(1, round(filters * width))


def convolution(x: Any, filters: int, kernel: int, batch_norm: bool, name: str) -> Any:
    """Convolution, batch norm if wanted, ReLU; the size stays."""
    x = keras.layers.Conv2D(
        filters, kernel, padding="same", use_bias=not batch_norm, kernel_initializer="he_normal", name=name
    )(x)
    if batch_norm:
        x = keras.layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=f"{name}_bn")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def upsampling(x: Any, filters: int, factor: int, name: str, dtype: Any = None) -> Any:
    """Enlarge by a transposed convolution that starts as bilinear interpolation: kernel 2 * factor, no bias.

    An even kernel - stride needs no uneven padding, which ONNX Runtime's CUDA ConvTranspose has refused.
    """
    return keras.layers.Conv2DTranspose(
        filters,
        2 * factor,
        strides=factor,
        padding="same",
        use_bias=False,
        kernel_initializer=Bilinear(),
        name=name,
        dtype=dtype,
    )(x)
