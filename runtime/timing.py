"""A picture through an engine, and where the time goes: what the loop and a replay share."""

from __future__ import annotations

import time

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Size
from edgeseg.runtime.engines.base import Engine, Result


def segment(picture: NDArray[np.uint8], engine: Engine) -> tuple[Result, dict[str, float]]:
    """Segment one picture outside of a stream, timed as the loop times a frame.

    Args:
        picture: (H, W, 3) uint8, BGR, of any size.
        engine: runs it.

    Returns:
        The result, and the milliseconds of preprocess, inference and postprocess with their sum `frame`.

    Raises:
        EngineError: the engine failed.
    """
    taken = time.monotonic()
    sized = at_size(picture, engine.frame_size)
    prepared = time.monotonic()
    result = engine.run(sized)
    return result, stage_times(taken, prepared, time.monotonic(), result)


def stage_times(taken: float, prepared: float, done: float, result: Result) -> dict[str, float]:
    """Return a frame's milliseconds by stage, from the times (s) when it was taken, was prepared and was done."""
    in_engine_ms = result.preprocess_ms + result.inference_ms
    return {
        "preprocess": (prepared - taken) * 1e3 + result.preprocess_ms,
        "inference": result.inference_ms,
        "postprocess": max(0.0, (done - prepared) * 1e3 - in_engine_ms),
        "frame": (done - taken) * 1e3,
    }


def at_size(picture: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    """Return a picture (H, W, 3) uint8, BGR, at a size: bilinear, as the graph would resize it."""
    if picture.shape[:2] == size:
        return picture
    resized = cv2.resize(picture, (size.width, size.height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.uint8)
