"""The end of a process whose engine hangs, within seconds, so that a supervisor starts it again.

A call into a driver that does not return cannot be ended from within. A Python thread says so and where,
and ends the process; a timer of the C library does it where the call holds the interpreter and no Python runs any more.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import sys
import threading
import time
from types import TracebackType

from edgeseg.core.errors import EngineError

HANG_SECONDS = 3.5
"""The process is gone within 5 s, with what its end takes."""
SLOWER_THAN_WARM_UP = 4.0
"""A run is given so many times what the last one of the warm-up took: slow machines are no hung ones."""
_HARD_EXTRA_S = 0.5
_CLOCK_MONOTONIC, _SIGEV_THREAD = 1, 2  # time.h, signal.h
_EXIT_CODE = EngineError.exit_code


class Watchdog:
    """Used as `with watchdog:` around each run: one that takes longer than `limit_s` ends the process with code 5.

    `close` ends the watching. Not for two threads at a time.
    """

    def __init__(self, limit_s: float = HANG_SECONDS, program: str = "edgeseg-camera") -> None:
        self.limit_s = limit_s
        self._program = program
        self._since: float | None = None
        self._is_closed = threading.Event()
        self._timer = _HardTimer()
        self._thread = threading.Thread(target=self._watch, name="edgeseg-watchdog", daemon=True)
        self._thread.start()

    def __enter__(self) -> None:
        self._since = time.monotonic()
        self._timer.set(self.limit_s + _HARD_EXTRA_S)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.set(0)
        self._since = None

    def allow(self, run_s: float) -> None:
        """Learn how long a run takes here."""
        self.limit_s = max(self.limit_s, SLOWER_THAN_WARM_UP * run_s)

    def close(self) -> None:
        self._is_closed.set()
        self._thread.join()
        self._timer.close()

    def _watch(self) -> None:
        while not self._is_closed.wait(min(0.1, self.limit_s / 10)):
            since = self._since
            if since is not None and time.monotonic() - since > self.limit_s:
                self._end()

    def _end(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            text = f"{self._program}: the engine has not answered for {self.limit_s:.1f} s; ended for a restart"
            os.write(sys.stderr.fileno(), f"{text}\n".encode())  # not through a lock that the hung thread may hold
            faulthandler.dump_traceback(sys.stderr, all_threads=True)  # nor is this
        os._exit(_EXIT_CODE)


class _SigEvent(ctypes.Structure):
    """struct sigevent of glibc, for SIGEV_THREAD: 64 bytes."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signo", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("function", ctypes.c_void_p),
        ("attributes", ctypes.c_void_p),
        ("padding", ctypes.c_char * 32),
    )


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


class _HardTimer:
    """A POSIX timer that calls `_exit(5)` in a thread of the C library. Where there is none, it does nothing."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None)
        self._timer = ctypes.c_void_p()
        self._is_there = False
        try:
            leave = ctypes.cast(self._library._exit, ctypes.c_void_p).value
            event = _SigEvent(value=_EXIT_CODE, notify=_SIGEV_THREAD, function=leave)
            code = self._library.timer_create(_CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(self._timer))
            self._is_there = code == 0
        except AttributeError:  # another C library
            pass

    def set(self, seconds: float) -> None:
        """Go off after so many seconds; 0: not at all."""
        if self._is_there:
            whole = int(seconds)
            spec = _TimerSpec(value=_TimeSpec(whole, int((seconds - whole) * 1e9)))
            self._library.timer_settime(self._timer, 0, ctypes.byref(spec), None)

    def close(self) -> None:
        if self._is_there:
            self._library.timer_delete(self._timer)
            self._is_there = False
