"""One writer a place: a lock that dies with its process, and that says whose it is."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

from edgeseg.core.errors import UsageError

LOCK = ".lock"
"""The lock's name in a folder that is written for long: a run, a recording."""
_TRIES, _PAUSE_S = 5, 0.02


class WriterLock:
    """Held from its making to `close`, or to the end of the process, however that comes. A context manager.

    Args:
        lock: the file that stands for the place; it is made, and removed at the end.
        place: what is written, for messages.

    Raises:
        UsageError: another process holds it.
        OSError: the file cannot be made.
    """

    def __init__(self, lock: Path, place: Path) -> None:
        self._path = lock
        self._file: int | None = _taken(lock, place)

    def close(self) -> None:
        """Give the place to the next writer."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()  # first: who opens the file after that sees that it is not this one
            os.close(self._file)
            self._file = None

    def __enter__(self) -> WriterLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_unlocked(lock: Path, place: Path) -> None:
    """Raise UsageError if another process writes there now. Nothing is made."""
    with contextlib.suppress(OSError):
        file = os.open(lock, os.O_RDWR)
        try:
            _lock(file, lock, place)
        finally:
            os.close(file)


def lock_beside(path: Path) -> Path:
    """Return the lock of a file or folder that takes its name when it is whole."""
    return path.with_name(f".{path.name[:200]}{LOCK}")


def _taken(lock: Path, place: Path) -> int:
    """Return the open lock file."""
    while True:
        file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(file, lock, place)
            if _is_there(lock, file):
                os.ftruncate(file, 0)
                os.write(file, f"{os.getpid()}\n".encode())
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # its holder has removed it meanwhile


def _lock(file: int, lock: Path, place: Path) -> None:
    for left in reversed(range(_TRIES)):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if not left:  # a moment's look by `check_unlocked` is no writer
                raise UsageError(
                    f"{place}: {_holder(file)} is writing it; wait for it or choose another place"
                ) from error
            time.sleep(_PAUSE_S)
        except OSError:  # a file system without locks; nothing else depends on them
            return


def _is_there(lock: Path, file: int) -> bool:
    try:
        return os.path.samestat(os.stat(lock), os.fstat(file))
    except FileNotFoundError:
        return False


def _holder(file: int) -> str:
    text = os.pread(file, 20, 0).decode(errors="replace").strip()
    return f"process {text}" if text.isdecimal() else "another process"
