"""Whether what is being written still lies where the user looks for it."""

from __future__ import annotations

import os
import time
from pathlib import Path

_EVERY_S = 1.0


class WatchedPlace:
    """A file or socket of ours at a path, looked after at most once a second.

    Deleting a file takes its name alone: whoever has it open goes on writing, and nobody will ever read that.
    """

    def __init__(self, path: Path) -> None:
        """It lies there now. Raises OSError."""
        self._path = path
        self._looked_at = time.monotonic()
        self._identity = _identity(os.stat(path))

    def is_lost(self) -> bool:
        """Whether it was deleted, moved away or replaced; False, too, where it was looked after just now."""
        now = time.monotonic()
        if now - self._looked_at < _EVERY_S:
            return False
        self._looked_at = now
        return not self.is_there()

    def is_there(self) -> bool:
        """Look now."""
        try:
            return _identity(os.stat(self._path)) == self._identity
        except FileNotFoundError:
            return False
        except OSError:  # a network disk that is away: nobody knows
            return True


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
