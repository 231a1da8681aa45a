"""What the head of a camera graph computes, in NumPy: the reference that the export's proof compares with.

It is written apart from the graph and from the training pipeline on purpose, so that it can catch a mistake in either.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Size, place
from edgeseg.core.spec import ModelSpec

Floats = NDArray[np.float32]
_GREY_OF_BGR = np.array([0.114, 0.587, 0.299], np.float32)  # ITU-R BT.601


def network_pixels(frame: NDArray[np.uint8], spec: ModelSpec) -> Floats:
    """Return the network's input for a camera frame.

    Args:
        frame: (H, W, 3) uint8, BGR, any size.
        spec: fit, crop, colour order, mean and scale.

    Returns:
        (input height, input width, channels) float32, (pixel - mean) * scale in the spec's colour order; padding is 0,
        or the spec's.
    """
    placement = place(Size(*frame.shape[:2]), spec.input_size, spec.fit, spec.crop)
    source, target = placement.source, placement.target
    seen = frame[source.y : source.y + source.height, source.x : source.x + source.width].astype(np.float32)
    if spec.colour_order == "grey":
        seen = np.rint(seen @ _GREY_OF_BGR)[..., np.newaxis]
    resized = _along(_along(seen, target.height, 0), target.width, 1)
    ordered = resized[..., ::-1] if spec.colour_order == "rgb" else resized
    mean, scale = np.array(spec.mean, np.float32), np.array(spec.scale, np.float32)
    pixels = np.zeros((*spec.input_size, spec.channels), np.float32)
    if spec.tensors.padding is not None:
        pixels[:] = (np.float32(spec.tensors.padding) - mean) * scale
    region = pixels[target.y : target.y + target.height, target.x : target.x + target.width]
    region[:] = (ordered - mean) * scale
    return pixels


def _along(picture: Floats, length: int, axis: int) -> Floats:
    """Resample one axis linearly, pixel centres at half pixels, borders repeated."""
    old = picture.shape[axis]
    at = np.clip((np.arange(length) + 0.5) * (old / length) - 0.5, 0, old - 1)
    low = np.floor(at).astype(np.int64)
    high = np.minimum(low + 1, old - 1)
    share = (at - low).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(picture.ndim)])
    blended: Floats = picture.take(low, axis) * (1 - share) + picture.take(high, axis) * share
    return blended
