"""Frames that a program brings itself, checked for being what an engine takes, with what to write instead."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import UsageError

ORDERS = ("bgr", "rgb")


def checked_frame(frame: Any, order: str) -> NDArray[np.uint8]:
    """Return a frame as (H, W, 3) uint8 BGR, C-contiguous; the same array if it is one.

    Args:
        frame: what was given.
        order: of its channels, `bgr` or `rgb`.

    Raises:
        UsageError: it is no such frame.
    """
    problem = _problem(frame)
    if problem:
        raise UsageError(f"{problem}; expected a NumPy array (H, W, 3) uint8, {order.upper()}")
    return np.ascontiguousarray(frame[..., ::-1] if order == "rgb" else frame)


def _problem(frame: Any) -> str:
    """Say what is wrong, and what makes it right; empty for nothing."""
    if frame is None:
        return "the frame is None, as cv2.imread and VideoCapture.read give it where they could not read"
    if not isinstance(frame, np.ndarray):
        advice = ": np.asarray(frame) makes one, of a PIL image RGB" if hasattr(frame, "__array_interface__") else ""
        return f"the frame is a {type(frame).__module__}.{type(frame).__name__}{advice}"
    shape = " x ".join(map(str, frame.shape)) or "a single value"
    if frame.dtype != np.uint8:
        advice = "(255 * frame).astype(np.uint8) if it holds 0 to 1" if frame.dtype.kind == "f" else "scale it to bytes"
        return f"the frame is {frame.dtype} ({shape}): {advice}"
    if frame.ndim == 3 and frame.shape[2] == 3 and frame.size:
        return ""
    return f"the frame is {shape}{_advice(frame)}"


def _advice(frame: NDArray[Any]) -> str:
    if not frame.size:
        return ", empty"
    if frame.ndim == 2 or (frame.ndim == 3 and frame.shape[2] == 1):
        return ", grey: cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR)"
    if frame.ndim == 3 and frame.shape[2] == 4:
        return ", with a fourth channel: np.ascontiguousarray(frame[..., :3])"
    if frame.ndim == 3 and frame.shape[0] == 3:
        return ", channels first: frame.transpose(1, 2, 0)"
    if frame.ndim == 4:
        return ", a batch: give one frame after the other"
    return ""
