"""The `--stats` file: a line a record, written on a thread of its own."""

from __future__ import annotations

import errno
import os
import queue
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

from edgeseg.core.errors import UsageError
from edgeseg.runtime.sinks.places import WatchedPlace

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
_LINES_WAITING = 10_000  # when its disk hangs


class StatsFile:
    """Lines on their way to a file; nobody who adds one waits for the disk.

    A file that is deleted or moved away, as logrotate does, is noticed, said, and begun anew.

    Args:
        path: where to; None for nowhere.
        notice: takes one line when the file was begun anew, or is given up.

    Attributes:
        error: why no more lines are written, or None.
    """

    def __init__(self, path: Path | None, notice: Callable[[str], None]) -> None:
        self.error: str | None = None
        self._path = path
        self._notice = notice
        self._lines: queue.Queue[str | None] = queue.Queue(_LINES_WAITING)
        self._place: WatchedPlace | None = None  # of a file; a pipe or device has none
        self._file: IO[str] | None = None
        self._thread = threading.Thread(target=self._run, name="edgeseg-stats", daemon=True)

    def open(self) -> None:
        """Begin the file. Raises UsageError."""
        if self._path is None:
            return
        try:
            self._open(self._path, os.O_TRUNC)
        except OSError as error:
            if error.errno == errno.ENXIO:
                text = f"{self._path}: a pipe that nobody reads ({error.strerror}); start its reader"
                raise UsageError(text) from error
            raise UsageError(f"{self._path}: cannot be written ({error.strerror}); choose another") from error
        self._thread.start()

    def abandon(self) -> None:
        """Close it without the lines that wait: the run does not begin."""
        if self._file is not None:
            self._lines.put(None)
            self._thread.join()

    @property
    def takes_lines(self) -> bool:
        return self._file is not None and self.error is None

    def add(self, line: str) -> None:
        """Let a line be written."""
        try:
            self._lines.put_nowait(line + "\n")
        except queue.Full:
            self._give_up("the disk takes no more lines")

    def close(self, timeout_s: float) -> None:
        """Write what waits, and wait for that so long."""
        if self._file is None:
            return
        if not self._lines.full():
            self._lines.put(None)
        self._thread.join(timeout_s)
        if self._thread.is_alive() and self.error is None:
            self.error = f"{self._path}: it did not finish within {timeout_s:g} s"

    def _open(self, path: Path, flag: int) -> None:
        descriptor = os.open(path, _CREATE | flag | os.O_NONBLOCK, 0o666)  # a pipe without reader is an error
        os.set_blocking(descriptor, True)
        self._file = os.fdopen(descriptor, "w", buffering=1)  # by lines, so that SIGKILL loses none that was written
        self._place = WatchedPlace(path) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None

    def _run(self) -> None:
        assert self._file is not None
        try:
            while (line := self._lines.get()) is not None:
                if self.error is None:
                    self._look_after()
                    self._file.write(line)
            self._file.close()
        except OSError as error:
            self._give_up(error.strerror or str(error))

    def _look_after(self) -> None:
        if self._place is None or not self._place.is_lost():
            return
        assert self._path is not None
        assert self._file is not None
        self._file.close()
        self._open(self._path, os.O_APPEND)  # what lies there now is somebody else's
        self._notice(f"--stats {self._path} was deleted or moved away; it goes on in a new file of that name")

    def _give_up(self, reason: str) -> None:
        self.error = f"{self._path}: {reason}"
        self._notice(f"--stats was given up: {self.error}")
