"""A decoder for real time: few channels, separable convolutions, skips that are added.

Features are added as in a feature pyramid (Lin et al. 2017) or LinkNet (Chaurasia, Culurciello 2017); each level has
one separable convolution (Howard et al. 2017), and the steps between them enlarge each channel by itself. At a quarter
of the picture's size and finer a decoder costs more than its encoder: that is what this one saves.
"""

from __future__ import annotations

from typing import Any

from edgeseg.models.batch_norm import MOMENTUM, BatchNormalization
from edgeseg.models.depthwise import DepthwiseConv2D
from edgeseg.models.features import Features
from edgeseg.models.layers import convolution, enlarged_by_channel
from edgeseg.models.options import NetworkOptions
from edgeseg.tf import keras


def light_decoder(features: Features, x: Any, options: NetworkOptions) -> Any:
    """Return features (N, H / score_stride, W / score_stride, decoder_width) from those of the encoder.

    Args:
        features: of the encoder.
        x: its deepest ones, as they are handed on.
        options: decoder_width, score_stride, stride.
    """
    filters = options.decoder_width
    x = convolution(x, filters, 1, options.batch_norm, f"lateral{options.stride}")
    for level in range(options.stride.bit_length() - 1, options.score_stride.bit_length() - 1, -1):
        x = enlarged_by_channel(x, 2, f"up{level}", options)
        skip = features.skips.get(2 ** (level - 1))
        if skip is not None:
            lateral = convolution(skip, filters, 1, options.batch_norm, f"lateral{2 ** (level - 1)}", relu=False)
            x = keras.layers.Add(name=f"up{level}_add")([x, lateral])
        x = separable_convolution(x, filters, options.batch_norm, f"up{level}")
    return x


def separable_convolution(x: Any, filters: int, batch_norm: bool, name: str) -> Any:
    """A 3x3 filter for each channel and a 1x1 convolution across them, ReLU; batch norm after each if wanted."""
    x = DepthwiseConv2D(
        3, padding="same", use_bias=not batch_norm, depthwise_initializer="he_normal", name=f"{name}_depthwise"
    )(x)
    if batch_norm:
        x = BatchNormalization(momentum=MOMENTUM, name=f"{name}_depthwise_bn")(x)
    return convolution(x, filters, 1, batch_norm, f"{name}_pointwise")
