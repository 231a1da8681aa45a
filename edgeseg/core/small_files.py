"""Files of settings, specs and the like: read whole, never without end, and waited for no longer than sensible."""

from __future__ import annotations

import errno
import os
import select
import time
from pathlib import Path

MOST_BYTES = 256 << 20
_PIPE_TIMEOUT_S = 5.0  # of a pipe, as of a shell's <(program), that says nothing


def read_small(path: Path) -> str:
    """Return the text of a file, UTF-8.

    Raises:
        OSError: it cannot be read, holds more than MOST_BYTES, as /dev/zero does, or is a pipe that nobody writes to.
        UnicodeDecodeError: it is not UTF-8.
    """
    # Opened so, a pipe without a writer does not stop here for ever.
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return _read(file).decode("utf-8")
    finally:
        os.close(file)


def _read(file: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    until = time.monotonic() + _PIPE_TIMEOUT_S
    while True:
        if not select.select([file], [], [], max(0.0, until - time.monotonic()))[0]:
            raise OSError(errno.ETIMEDOUT, "a pipe that nobody writes to")
        try:
            part = os.read(file, 1 << 20)
        except BlockingIOError:
            continue
        if not part:
            return b"".join(parts)
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise OSError(errno.EFBIG, f"more than {MOST_BYTES >> 20} MB")
