"""What an encoder hands on."""

from __future__ import annotations

from typing import Any, NamedTuple


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
