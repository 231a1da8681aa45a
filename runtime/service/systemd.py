"""What systemd is told: that the camera runs, that it is alive, that it stops (sd_notify(3))."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Mapping

from edgeseg.runtime.records import Ledger

_STATUS_INTERVAL_S = 5.0
_START_STEP_S = 10.0
_LONGEST_START_S = 1800.0  # building an engine takes many minutes; a start that hangs longer is given up by systemd


class Service:
    """Tells systemd how the camera fares, by `NOTIFY_SOCKET`; does nothing where no service manager listens.

    A context manager around a run, and its watcher (edgeseg.runtime.loop.Watcher). READY=1 comes with the first mask,
    or when the model is loaded and the camera, not there yet, is being looked for. WATCHDOG=1 comes while masks come
    that meet their deadline, of a dark or frozen picture too, and while a camera that is away is being looked for:
    restarting the service would not bring it back. It does not come when the loop or the engine hangs, when frames
    stop without being missed, or when every mask is late.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        values = os.environ if environment is None else environment
        self._address = _address(values.get("NOTIFY_SOCKET", ""))
        self._interval_s = _watchdog_interval_s(values)
        self._is_ready = False
        self._timely = 0
        self._alive_at = self._status_at = -1e9
        self._started = threading.Event()
        self._socket: socket.socket | None = None

    def __enter__(self) -> Service:
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)  # a manager that hangs must not hang the camera
            self._starter = threading.Thread(target=self._extend_start, name="edgeseg-service", daemon=True)
            self._starter.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is None:
            return
        self._started.set()
        self._starter.join()
        self._tell("STOPPING=1", "STATUS=stopping")
        self._socket.close()
        self._socket = None

    def __call__(self, ledger: Ledger, seconds: float) -> None:
        if self._socket is None:
            return
        now = time.monotonic()
        frames = ledger.frames
        masks = frames["processed"] + frames["stale"]
        timely = masks - ledger.stale["deadline"]
        comes, self._timely = timely > self._timely, timely
        is_away = ledger.source.away.under_way
        if (masks or is_away) and not self._is_ready:
            self._is_ready = True
            self._started.set()
            self._tell("READY=1")
        if (comes or is_away) and self._interval_s and now - self._alive_at >= self._interval_s:
            self._alive_at = now
            self._tell("WATCHDOG=1")
        if now - self._status_at >= _STATUS_INTERVAL_S:
            self._status_at = now
            age = ledger.latency["capture_to_mask"]
            state = "the camera is away, looking for it" if is_away else f"{masks / max(seconds, 1e-3):.1f} fps"
            self._tell(f"STATUS={state}, capture to mask p99 {age.percentile(99):.0f} ms, {frames['stale']} stale")

    def _extend_start(self) -> None:
        end = time.monotonic() + _LONGEST_START_S
        self._tell("STATUS=loading the model, opening the camera")
        while time.monotonic() < end:
            self._tell(f"EXTEND_TIMEOUT_USEC={round(3 * _START_STEP_S * 1e6)}")
            if self._started.wait(_START_STEP_S):
                return

    def _tell(self, *lines: str) -> None:
        assert self._socket is not None
        with contextlib.suppress(OSError):  # the manager has gone, or does not listen just now
            self._socket.sendto("\n".join(lines).encode(), self._address)


def _address(path: str) -> str:
    """Return the address of a notify socket; `@` begins an abstract one."""
    return "\0" + path[1:] if path.startswith("@") else path


def _watchdog_interval_s(values: Mapping[str, str]) -> float | None:
    """Return how often to say that all is well: four times within what systemd grants; None if it does not ask."""
    if values.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    granted = values.get("WATCHDOG_USEC", "")
    return int(granted) / 1e6 / 4 if granted.isdecimal() and int(granted) else None
