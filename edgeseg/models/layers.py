"""Layers that the architectures share."""

from __future__ import annotations

from typing import Any

from edgeseg.models.batch_norm import MOMENTUM, BatchNormalization
from edgeseg.models.bilinear import Bilinear
from edgeseg.models.depthwise import DepthwiseConv2DTranspose
from edgeseg.models.options import NetworkOptions
from edgeseg.tf import keras


def scaled(filters: int, width: float) -> int:
    """Return the number of filters at a width multiplier, at least 1."""
    return max(1, round(filters * width))


def convolution(
    x: Any, filters: int, kernel: int, batch_norm: bool, name: str, strides: int = 1, relu: bool = True
) -> Any:
    """Convolution, batch norm if wanted, ReLU if wanted; the size stays but for the strides."""
    x = keras.layers.Conv2D(
        filters,
        kernel,
        strides=strides,
        padding="same",
        use_bias=not batch_norm,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    if batch_norm:
        x = BatchNormalization(momentum=MOMENTUM, name=f"{name}_bn")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x) if relu else x


def transposed(x: Any, filters: int, factor: int, name: str, options: NetworkOptions, dtype: Any = None) -> Any:
    """Enlarge by a transposed convolution that starts as bilinear interpolation: kernel 2 * factor, no bias.

    An even kernel - stride needs no uneven padding, which ONNX Runtime's CUDA ConvTranspose has refused. Frozen is one
    that is pure interpolation; between unequal channels its random mixing has to be learned.
    """
    return keras.layers.Conv2DTranspose(
        filters,
        2 * factor,
        strides=factor,
        padding="same",
        use_bias=False,
        kernel_initializer=Bilinear(),
        trainable=not (options.freeze_upsampling and filters == x.shape[-1]),
        name=name,
        dtype=dtype,
    )(x)


def enlarged_by_channel(x: Any, factor: int, name: str, options: NetworkOptions, dtype: Any = None) -> Any:
    """Enlarge each channel by itself: a transposed convolution that starts as bilinear interpolation, or a resize."""
    if options.upsampling != "transposed":
        return resized(x, factor, name, options)
    trainable = not options.freeze_upsampling
    return DepthwiseConv2DTranspose(2 * factor, factor, trainable=trainable, name=name, dtype=dtype)(x)


def resized(x: Any, factor: int, name: str, options: NetworkOptions) -> Any:
    """Enlarge by resizing, nearest or bilinear."""
    return keras.layers.UpSampling2D(factor, interpolation=options.upsampling, name=f"{name}_resize")(x)


def upsampling(x: Any, filters: int, factor: int, name: str, options: NetworkOptions, dtype: Any = None) -> Any:
    """Enlarge scores linearly, as an FCN does: one transposed convolution, or a resize and a 2x2 convolution.

    The convolution has a kernel for each class, or with unequal channels or `dense` one for each pair of channels.
    """
    if options.upsampling == "transposed":
        if options.upsampling_kernel == "per-class" and filters == x.shape[-1]:
            return enlarged_by_channel(x, factor, name, options, dtype)
        return transposed(x, filters, factor, name, options, dtype)
    x = resized(x, factor, name, options)
    return keras.layers.Conv2D(filters, 2, padding="same", kernel_initializer="he_normal", name=name, dtype=dtype)(x)
