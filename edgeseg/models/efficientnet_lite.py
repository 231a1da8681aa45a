"""EfficientNet-Lite: EfficientNets for edge devices (Liu 2020, blog.tensorflow.org; Tan, Le 2019).

Inverted residuals without squeeze and excitation, and ReLU6 instead of swish: int8 and TensorRT take them well. Input
(pixel - 127) / 128, RGB. Padding is TensorFlow's `same`, one pixel more at the end where a stride does not meet the
middle: the published weights were trained with it, and a Conv of the exported graph carries it (0, 0, 1, 1).

Lite1 and Lite2 are Lite0 with more layers a block, Lite2 a tenth wider too; stem, first and last block do not grow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.models.batch_norm import MOMENTUM, BatchNormalization
from edgeseg.models.depthwise import DepthwiseConv2D
from edgeseg.models.features import Features
from edgeseg.models.options import NetworkOptions
from edgeseg.tf import keras

STEM = 32
BATCH_NORM_EPSILON = 1e-3
SCALES = {"efficientnet_lite0": (1.0, 1.0), "efficientnet_lite1": (1.0, 1.1), "efficientnet_lite2": (1.1, 1.2)}
"""Multipliers of width and depth."""
_FILTER_UNIT = 8
_BATCH_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "mean", "running_var": "variance"}


@dataclass(frozen=True)
class Stage:
    """Inverted residuals of a kind, of which the first one has the stride."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    filters: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


def efficientnet_lite(image: Any, options: NetworkOptions) -> Features:
    """Return the blocks' features, the last ones of each stride: skips at 2 to 16, the deepest ones at 32."""
    x = _convolution(image, STEM, 3, "stem", strides=2)
    stride, block, skips = 2, 0, {}
    for stage in stages(options.encoder):
        for repeat in range(stage.repeats):
            step = stage.stride if repeat == 0 else 1
            stride *= step
            x = _inverted_residual(x, stage, step, f"block{block}")
            skips[stride] = x
            block += 1
    deepest = skips.pop(stride)
    return Features(skips, skips, deepest)


def stages(encoder: str) -> list[Stage]:
    """Return the stages of a member of the family, grown by its multipliers."""
    width, depth = SCALES[encoder]
    last = len(STAGES) - 1
    return [
        Stage(
            stage.repeats if index in (0, last) else math.ceil(stage.repeats * depth),
            stage.kernel,
            stage.stride,
            stage.expansion,
            _whole_filters(stage.filters * width),
        )
        for index, stage in enumerate(STAGES)
    ]


def _whole_filters(filters: float) -> int:
    """Round to a multiple of 8, but not down by more than a tenth."""
    rounded = max(_FILTER_UNIT, int(filters + _FILTER_UNIT / 2) // _FILTER_UNIT * _FILTER_UNIT)
    return rounded if rounded >= 0.9 * filters else rounded + _FILTER_UNIT


def _inverted_residual(x: Any, stage: Stage, strides: int, name: str) -> Any:
    shortcut = x
    if stage.expansion != 1:
        x = _convolution(x, x.shape[-1] * stage.expansion, 1, f"{name}_expand")
    x = DepthwiseConv2D(
        stage.kernel, strides, padding="same", use_bias=False, name=f"{name}_depthwise",
        depthwise_initializer="he_normal",
    )(x)  # fmt: skip
    x = _relu6(_batch_norm(x, f"{name}_depthwise"), f"{name}_depthwise")
    x = _convolution(x, stage.filters, 1, f"{name}_project", relu6=False)
    if strides == 1 and shortcut.shape[-1] == stage.filters:
        x = keras.layers.Add(name=f"{name}_add")([shortcut, x])
    return x


def _convolution(x: Any, filters: int, kernel: int, name: str, strides: int = 1, relu6: bool = True) -> Any:
    x = keras.layers.Conv2D(
        filters, kernel, strides, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
    )(x)
    x = _batch_norm(x, name)
    return _relu6(x, name) if relu6 else x


def _batch_norm(x: Any, name: str) -> Any:
    return BatchNormalization(momentum=MOMENTUM, epsilon=BATCH_NORM_EPSILON, name=f"{name}_bn")(x)


def _relu6(x: Any, name: str) -> Any:
    return keras.layers.ReLU(6, name=f"{name}_relu6")(x)


# Published weights


def weights_by_layer(tensors: Mapping[str, NDArray[Any]], encoder: str) -> dict[str, list[NDArray[np.float32]]]:
    """Return the weights of the encoder's layers by name, in Keras's order and layout, from torch's names.

    Args:
        tensors: of the published file, kernels (out, in, height, width). Its classifier is left out; what is missing
            is missing in the result too.
        encoder: a key of SCALES.
    """
    found = {"stem": _kernel(tensors, "_conv_stem"), "stem_bn": _statistics(tensors, "_bn0")}
    blocks = [stage for stage in stages(encoder) for _ in range(stage.repeats)]
    for index, stage in enumerate(blocks):
        ours, theirs = f"block{index}", f"_blocks.{index}"
        if stage.expansion != 1:
            found[f"{ours}_expand"] = _kernel(tensors, f"{theirs}._expand_conv")
            found[f"{ours}_expand_bn"] = _statistics(tensors, f"{theirs}._bn0")
        found[f"{ours}_depthwise"] = _kernel(tensors, f"{theirs}._depthwise_conv", depthwise=True)
        found[f"{ours}_depthwise_bn"] = _statistics(tensors, f"{theirs}._bn1")
        found[f"{ours}_project"] = _kernel(tensors, f"{theirs}._project_conv")
        found[f"{ours}_project_bn"] = _statistics(tensors, f"{theirs}._bn2")
    return {name: values for name, values in found.items() if values}


def _kernel(tensors: Mapping[str, NDArray[Any]], name: str, depthwise: bool = False) -> list[NDArray[np.float32]]:
    kernel = tensors.get(f"{name}.weight")
    if kernel is None or kernel.ndim != 4:
        return []
    return [kernel.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))]


def _statistics(tensors: Mapping[str, NDArray[Any]], name: str) -> list[NDArray[np.float32]]:
    values = [tensors.get(f"{name}.{theirs}") for theirs in _BATCH_NORM]
    return [value for value in values if value is not None] if all(v is not None for v in values) else []
