"""When a frame was captured: by the sensor's own clock, by the stream's, or when it arrived."""

from __future__ import annotations

import time
from typing import NamedTuple

_LONGEST_AGE_S = 10.0  # a driver's time further back is of another clock
_DRIFT = 1e-3  # by how much a camera's clock may run apart from ours
_JUMP_S = 10.0


class Stamp(NamedTuple):
    """Seconds of CLOCK_MONOTONIC, and who says so: `sensor`, `stream` or `arrival`."""

    monotonic: float
    clock: str = "arrival"


def sensor_stamp(driver_ms: float, now: float | None = None) -> Stamp:
    """Return the time that V4L2 gave a buffer, in ms of CLOCK_MONOTONIC; the arrival if it is of another clock."""
    now = time.monotonic() if now is None else now
    age_s = now - driver_ms / 1e3
    return Stamp(driver_ms / 1e3, "sensor") if driver_ms > 0 and 0 <= age_s <= _LONGEST_AGE_S else Stamp(now)


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
        return Stamp(now) if is_stepped else Stamp(min(now, pts_s + self._offset), "stream")
