"""Specs of networks that nobody has trained."""

from __future__ import annotations

from edgeseg.core.geometry import Size
from edgeseg.core.spec import ModelSpec
from edgeseg.models.options import NetworkOptions
from tests.helpers.training import TWO_CLASSES


def spec_of(options: NetworkOptions) -> ModelSpec:
    pixels = options.preprocessing
    return ModelSpec(
        options.name,
        options.architecture,
        options.encoder,
        Size(64, 64),
        pixels.colour_order,
        pixels.mean,
        pixels.scale,
        TWO_CLASSES,
        options=options.to_document(),
    )
