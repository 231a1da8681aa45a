"""Camera frames as the pixels that a network takes, on the host: for models whose graph does not do it itself.

The same values as edgeseg.core.pixels.network_pixels, which the tests hold it to, at a speed for every frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Size, place
from edgeseg.core.spec import ModelSpec

_ORDERS = {"bgr": (0, 1, 2), "rgb": (2, 1, 0)}


class HostPixels:
    """Prepares frames of one size; the array that it returns is its own, and overwritten by the next call.

    Args:
        spec: input size, fit, crop, colour order, mean, scale.
        frame_size: of the frames.
        layout: `nchw` or `nhwc`.
        dtype: a float, or uint8, which a resized pixel is rounded to.
    """

    def __init__(self, spec: ModelSpec, frame_size: Size, layout: str, dtype: np.dtype[Any]) -> None:
        placement = place(frame_size, spec.input_size, spec.fit, spec.crop)
        source, target = placement.source, placement.target
        self._source = np.s_[source.y : source.y + source.height, source.x : source.x + source.width]
        self._width, self._height = target.width, target.height
        self._is_resized = (source.width, source.height) != (target.width, target.height)
        self._order = _ORDERS.get(spec.colour_order)
        shape = (spec.channels, *spec.input_size) if layout == "nchw" else (*spec.input_size, spec.channels)
        self._pixels: NDArray[Any] = np.zeros(shape, dtype)
        planes = self._pixels if layout == "nchw" else self._pixels.transpose(2, 0, 1)
        region = planes[:, target.y : target.y + target.height, target.x : target.x + target.width]
        self._channels = [
            _Channel(region[index], np.float32(spec.mean[index]), np.float32(spec.scale[index]))
            for index in range(spec.channels)
        ]
        if spec.tensors.padding is not None:
            for plane, channel in zip(planes, self._channels, strict=True):
                plane[:] = channel.of(spec.tensors.padding)

    def __call__(self, frame: NDArray[np.uint8]) -> NDArray[Any]:
        """Return [1, channels, H, W] or [1, H, W, channels] for a (H, W, 3) uint8 BGR frame."""
        for channel, plane in zip(self._channels, self._planes(frame[self._source]), strict=True):
            if self._is_resized:
                channel.normalise(self._resized(plane))
            else:
                channel.look_up(plane)
        return self._pixels[np.newaxis]

    def _planes(self, seen: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
        if self._order is None:
            import cv2

            yield np.asarray(cv2.cvtColor(seen, cv2.COLOR_BGR2GRAY), np.uint8)
            return
        yield from (seen[..., index] for index in self._order)

    def _resized(self, plane: NDArray[np.uint8]) -> NDArray[np.float32]:
        import cv2

        size = (self._width, self._height)
        return np.asarray(cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_LINEAR), np.float32)


class _Channel:
    """One channel of the network's input."""

    def __init__(self, out: NDArray[Any], mean: np.float32, scale: np.float32) -> None:
        self._out, self._mean, self._scale = out, mean, scale
        self._table = self._rounded((np.arange(256, dtype=np.float32) - mean) * scale).astype(out.dtype)

    def of(self, grey: float) -> Any:
        """Return what stands for a grey value."""
        return self._rounded((np.float32(grey) - self._mean) * self._scale)

    def look_up(self, plane: NDArray[np.uint8]) -> None:
        """A byte has 256 values: the table holds the same results as the arithmetic, to the last bit."""
        self._out[:] = self._table[plane]

    def normalise(self, plane: NDArray[np.float32]) -> None:
        if self._out.dtype == np.uint8:
            self._out[:] = np.rint(plane)
            return
        plane -= self._mean
        np.multiply(plane, self._scale, out=self._out, casting="same_kind")

    def _rounded(self, values: Any) -> Any:
        return np.rint(values) if self._out.dtype == np.uint8 else values
