"""Frames that lay in buffers while this process did not run: older than their arrival says."""

from __future__ import annotations

import threading
import time

from edgeseg.runtime.sources.clocks import Stamp
from edgeseg.runtime.states import Clock

PAUSE_S = 0.25  # shorter ones are those of a busy machine
_BEAT_S = 0.05
_NEAR_PERIOD = 0.7  # of the usual time between two frames: these come at the camera's rate, and not out of a buffer
_SURE_AFTER = 2  # such frames
_LEARNING = 0.1


class Heartbeat:
    """A thread that notices when its process stood still: stopped, frozen or without a processor."""

    def __init__(self) -> None:
        self._stood_still_from: float | None = None
        self._last = time.monotonic()
        threading.Thread(target=self._beat, name="edgeseg-heartbeat", daemon=True).start()

    def _beat(self) -> None:
        while True:
            time.sleep(_BEAT_S)
            self._stood_still_from = self.stood_still_from()
            self._last = time.monotonic()

    def stood_still_from(self) -> float | None:
        """Return since when the process stood still, the last time; seconds of the monotonic clock, None for never."""
        last = self._last  # the other thread may not have run again yet
        return last if time.monotonic() - last > _BEAT_S + PAUSE_S else self._stood_still_from


class Backlog:
    """Takes frames that only their arrival dates for as old as the pause before them, until the buffers are empty.

    That is when they come at the camera's rate again, and not as fast as they can be read. Those that the camera or the
    stream dates are as old as that says.
    """

    def __init__(self, heartbeat: Heartbeat) -> None:
        self._heartbeat = heartbeat
        self._known_from: float | None = None
        self._since: float | None = None
        self._last: float | None = None
        self._usual_s: float | None = None
        self._in_time = 0

    def note_pause(self, since: float) -> None:
        """Nothing was read from `since`, in seconds of the monotonic clock, until now."""
        self._since, self._in_time = since, 0

    def dated(self, stamp: Stamp) -> Stamp:
        """Return the stamp of a frame, with the time of the pause if it may have come within it."""
        if stamp.clock != Clock.ARRIVAL:
            return stamp
        stood_still_from = self._heartbeat.stood_still_from()
        if stood_still_from != self._known_from and stood_still_from is not None:
            self._known_from = stood_still_from
            self.note_pause(stood_still_from)
        self._follow(stamp.monotonic)
        return stamp if self._since is None else Stamp(self._since)

    def _follow(self, arrival: float) -> None:
        gap_s = None if self._last is None else arrival - self._last
        self._last = arrival
        if gap_s is None:
            return
        if self._since is None:
            usual_s = gap_s if self._usual_s is None else self._usual_s
            self._usual_s = usual_s + _LEARNING * (gap_s - usual_s)
        elif self._usual_s is None or _NEAR_PERIOD * self._usual_s <= gap_s < PAUSE_S + self._usual_s:
            self._in_time += 1
            self._since = None if self._in_time >= _SURE_AFTER else self._since
        else:
            self._in_time = 0
