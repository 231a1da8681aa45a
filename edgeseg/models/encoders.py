"""From options to an encoder's features."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from edgeseg.models.features import Features
from edgeseg.models.options import NetworkOptions
from edgeseg.models.registry import ENCODERS


def encode(image: Any, options: NetworkOptions) -> Features:
    """Build the encoder that the options name onto `image` (N, H, W, 3), normalised as its preprocessing says."""
    module, _, function = ENCODERS[options.encoder].builder.partition(":")
    features: Features = getattr(import_module(module), function)(image, options)
    return features
