"""When a frame was captured: by the sensor's own clock, by the stream's, or when it arrived."""

from __future__ import annotations

import time
from typing import NamedTuple

from edgeseg.runtime.states import Clock

_LONGEST_AGE_S = 10.0  # a driver's time further back is of another clock
_DRIFT = 1e-3  # by how much a camera's clock may run apart from ours
_JUMP_S = 10.0
_LONGEST_GAP_S = 5.0  # between two frames of a file: a longer one would be waited for as if it hung


class Stamp(NamedTuple):
    """Seconds of CLOCK_MONOTONIC, and who says so."""

    monotonic: float
    clock: Clock = Clock.ARRIVAL


def sensor_stamp(driver_ms: float, now: float | None = None) -> Stamp:
    """Return the time that V4L2 gave a buffer, in ms of CLOCK_MONOTONIC; the arrival if it is of another clock."""
    now = time.monotonic() if now is None else now
    age_s = now - driver_ms / 1e3
    return Stamp(driver_ms / 1e3, Clock.SENSOR) if driver_ms > 0 and 0 <= age_s <= _LONGEST_AGE_S else Stamp(now)


class StreamClock:
    """Turns presentation times into ours: the frame that came quickest is taken to have come at once.

    So what the network or a buffer holds back counts as age, while what every frame suffers cannot be seen.
    """

    def __init__(self) -> None:
        self._offset: float | None = None
        self._last_pts = self._last_now = 0.0

    def stamp(self, pts_s: float, now: float | None = None) -> Stamp:
        """Return the capture time of a frame with presentation time `pts_s` that arrives `now`."""
        now = time.monotonic() if now is None else now
        if pts_s < 0:
            return Stamp(now)
        offset = now - pts_s
        runs_on = self._offset is not None and self._last_pts < pts_s and offset - self._offset < _JUMP_S
        if self._offset is not None and runs_on:
            self._offset = min(offset, self._offset + _DRIFT * (now - self._last_now))
        else:
            self._offset = offset
        is_stepped = self._last_pts == pts_s  # a stream without times repeats one
        self._last_pts, self._last_now = pts_s, now
        return Stamp(now) if is_stepped else Stamp(min(now, pts_s + self._offset), Clock.STREAM)


class FileClock:
    """When each frame of a file is to be seen, in seconds from the first one: by its own times, else at a rate.

    A time that goes back, stays or leaps is a cut in the file: the next frame comes a period later.
    """

    def __init__(self, fps: float) -> None:
        self._period_s = 1 / fps
        self._longest_s = max(_LONGEST_GAP_S, 3 * self._period_s)
        self._last_s: float | None = None
        self._due_s = -self._period_s

    def due(self, position_s: float | None) -> float:
        """Return it for the next frame, whose own time is `position_s`, from any beginning; None if it has none."""
        gap_s = self._period_s
        if position_s is not None and self._last_s is not None and 0 < position_s - self._last_s <= self._longest_s:
            gap_s = position_s - self._last_s
        self._last_s = position_s
        self._due_s += gap_s
        return self._due_s
