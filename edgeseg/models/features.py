"""What an encoder hands on, and which one the options name."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

from edgeseg.models.options import NetworkOptions
from edgeseg.models.registry import ENCODERS


class Features(NamedTuple):
    """Feature maps (N, H / stride, W / stride, channels) by stride.

    Attributes:
        skips: the last ones before each reduction, which U-Net joins; the finest stride is 1 or 2.
        pools: the ones that FCN scores, at strides 8 and 16.
        deepest: those of the greatest stride.
    """

    skips: dict[int, Any]
    pools: dict[int, Any]
    deepest: Any


def encode(image: Any, options: NetworkOptions) -> Features:
    """Build the encoder that the options name onto `image` (N, H, W, 3), normalised as its preprocessing says."""
    module, _, function = ENCODERS[options.encoder].builder.partition(":")
    features: Features = getattr(import_module(module), function)(image, options)
    return features
