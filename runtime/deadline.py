"""How old a mask may be: what the user said, else what a camera is given."""

from __future__ import annotations

import math
from collections.abc import Callable

from edgeseg.runtime.settings import DEADLINE_MS

_FRAMES = 3  # one that is under way, one that waits, and room
_STEP_MS = 100


def deadline_for(
    asked_ms: float | None, is_camera: bool, frame_ms: float | None, notice: Callable[[str], None] | None
) -> float | None:
    """Return the deadline of a run's masks in ms, None for none, and say so where a frame takes longer than that.

    Nobody has chosen the default: where nothing could meet it, it gives way, instead of every mask being stale.

    Args:
        asked_ms: see LoopSettings.deadline_ms.
        is_camera: whether the source is one.
        frame_ms: what a frame takes this machine; None where that is not known.
        notice: takes one line for the user.
    """
    deadline_ms = asked_ms if asked_ms is not None else DEADLINE_MS if is_camera else math.inf
    if frame_ms is not None and frame_ms > deadline_ms:
        slow = f"one frame takes {frame_ms:.0f} ms here, more than the deadline of {deadline_ms:g} ms"
        remedy = "take a quicker model or engine (edgeseg benchmark), or give --deadline-ms or --no-deadline"
        if asked_ms is None:
            deadline_ms = float(math.ceil(_FRAMES * frame_ms / _STEP_MS) * _STEP_MS)
            slow += f", which is therefore {deadline_ms:g} ms"
        else:
            slow += ": every mask will be stale"
        if notice:
            notice(f"{slow}; {remedy}")
    return None if math.isinf(deadline_ms) else deadline_ms
