"""Camera frames as the pixels that a network takes, on the host: for models whose graph does not do it itself.

The same values as edgeseg.core.pixels.network_pixels, which the tests hold it to, at a speed for every frame.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Size, place
from edgeseg.core.spec import ModelSpec


class HostPixels:
    """Prepares frames of one size; the array that it returns is its own, and overwritten by the next call.

    Args:
        spec: input size, fit, crop, colour order, mean, scale.
        frame_size: of the frames.
        layout: `nchw` or `nhwc`.
        dtype: float32 or float16.
    """

    def __init__(self, spec: ModelSpec, frame_size: Size, layout: str, dtype: np.dtype[Any]) -> None:
        placement = place(frame_size, spec.input_size, spec.fit, spec.crop)
        source, target = placement.source, placement.target
        self._source = np.s_[source.y : source.y + source.height, source.x : source.x + source.width]
        self._width, self._height = target.width, target.height
        self._is_resized = (source.width, source.height) != (target.width, target.height)
        height, width = spec.input_size
        self._pixels: NDArray[Any] = np.zeros((3, height, width) if layout == "nchw" else (height, width, 3), dtype)
        planes = self._pixels if layout == "nchw" else self._pixels.transpose(2, 0, 1)
        region = planes[:, target.y : target.y + target.height, target.x : target.x + target.width]
        order = (2, 1, 0) if spec.colour_order == "rgb" else (0, 1, 2)
        self._channels = [
            _Channel(region[index], channel, np.float32(spec.mean[index]), np.float32(spec.scale[index]))
            for index, channel in enumerate(order)
        ]

    def __call__(self, frame: NDArray[np.uint8]) -> NDArray[Any]:
        """Return [1, 3, H, W] or [1, H, W, 3] for a (H, W, 3) uint8 BGR frame."""
        seen = frame[self._source]
        for channel in self._channels:
            if self._is_resized:
                channel.normalise(self._resized(seen[..., channel.of_frame]))
            else:
                channel.look_up(seen[..., channel.of_frame])
        return self._pixels[np.newaxis]

    def _resized(self, plane: NDArray[np.uint8]) -> NDArray[np.float32]:
        import cv2

        size = (self._width, self._height)
        return np.asarray(cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_LINEAR), np.float32)


class _Channel:
    """One channel of the network's input, and where it comes from."""

    def __init__(self, out: NDArray[Any], of_frame: int, mean: np.float32, scale: np.float32) -> None:
        self.of_frame = of_frame
        self._out, self._mean, self._scale = out, mean, scale
        self._table = ((np.arange(256, dtype=np.float32) - mean) * scale).astype(out.dtype)

    def look_up(self, plane: NDArray[np.uint8]) -> None:
        """A byte has 256 values: the table holds the same results as the arithmetic, to the last bit."""
        self._out[:] = self._table[plane]

    def normalise(self, plane: NDArray[np.float32]) -> None:
        plane -= self._mean
        np.multiply(plane, self._scale, out=self._out, casting="same_kind")
