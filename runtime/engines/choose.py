"""Which of two engines is the faster one on this computer: it depends on the model (docs/engines.md)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from edgeseg.runtime.engines import Engine

ROUNDS = 5
WARM_UPS = 2
PAUSE_S = 0.02  # ONNX Runtime's threads spin for a while after their work, in the other's way
CLEARLY = 1.1
"""A lead that noise does not give: who is taken must not change from start to start."""


def faster(reference: Engine, rival: Engine) -> tuple[Engine, str]:
    """Time two engines in turns, close the slower one, and return the other with a text that says why.

    The reference is kept unless the rival is clearly faster, by 10 %.

    Raises:
        EngineError: one of them failed; both are closed.
    """
    try:
        times = _times(reference, rival)
    except BaseException:
        reference.close()
        rival.close()
        raise
    reference_ms, rival_ms = (min(each) * 1e3 for each in times)  # what else runs only ever adds to a time
    chosen, other = (rival, reference) if reference_ms >= CLEARLY * rival_ms else (reference, rival)
    other.close()
    return chosen, f"{reference.backend} {reference_ms:.1f} ms a frame, {rival.backend} {rival_ms:.1f}"


def _times(*engines: Engine) -> list[list[float]]:
    times: list[list[float]] = [[] for _ in engines]
    frame = np.full((*engines[0].frame_size, 3), 127, np.uint8)
    for turn in range(WARM_UPS + ROUNDS):
        for engine, seconds in zip(engines, times, strict=True):
            time.sleep(PAUSE_S)
            start = time.perf_counter()
            engine.run(frame)
            if turn >= WARM_UPS:
                seconds.append(time.perf_counter() - start)
    return times
