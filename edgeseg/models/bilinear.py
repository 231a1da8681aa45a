"""Bilinear interpolation as the first weights of a transposed convolution (Long, Shelhamer, Darrell 2015)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.tf import keras


def bilinear_kernel(size: int) -> NDArray[np.float32]:
    """Return the (size, size) float32 kernel with which a transposed convolution of stride size / 2 interpolates."""
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    slope = 1 - np.abs(np.arange(size) - centre) / factor
    return np.outer(slope, slope).astype(np.float32)


@keras.saving.register_keras_serializable(package="edgeseg")
class Bilinear(keras.initializers.Initializer):  # type: ignore[misc]
    """Kernel (k, k, out, in) = bilinear[i, j] * M[out, in].

    M is the identity where the channels in and out are as many: the layer then enlarges its input. Otherwise M is
    He-initialised: copying the diagonal would leave the channels beyond it dead.

    Example:
        keras.layers.Conv2DTranspose(8, 16, strides=8, padding="same", use_bias=False, kernel_initializer=Bilinear())
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        height, width, channels_out, channels_in = shape
        if height != width:
            raise ValueError(f"kernel {height}x{width}; expected a square one")
        if channels_out == channels_in:
            mixing = keras.ops.eye(channels_in, dtype=dtype)
        else:
            # The kernel's taps that meet one output pixel sum to 1, so the fan-in is the channels alone.
            deviation = float(np.sqrt(2 / channels_in))
            mixing = keras.random.normal((channels_out, channels_in), stddev=deviation, dtype=dtype, seed=self.seed)
        return keras.ops.convert_to_tensor(bilinear_kernel(height)[:, :, None, None], dtype=dtype) * mixing

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}
