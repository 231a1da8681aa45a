"""How many parameters a network has, and how many operations a picture costs it."""

from __future__ import annotations

from math import prod
from typing import Any

from edgeseg.models.depthwise import DepthwiseConv2DTranspose
from edgeseg.tf import keras


def flops(model: Any) -> int:
    """Return the floating-point operations for one picture; a multiplication and an addition are two.

    Counted are the convolutions, transposed ones included, and dense layers, with their padding; normalisation (which
    export folds into them), activations, additions, pooling and resizing are not: together some per cent.

    Args:
        model: keras.Model with a fixed input size.
    """
    return sum(_layer_flops(layer) for layer in model.layers)


def _layer_flops(layer: Any) -> int:
    if isinstance(layer, keras.layers.Conv2DTranspose | DepthwiseConv2DTranspose):
        pixels = layer.input.shape[1:-1]  # each meets the whole kernel
    elif isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D | keras.layers.Dense):
        pixels = layer.output.shape[1:-1]
    else:
        return 0
    return int(2 * prod(pixels) * prod(layer.kernel.shape))
