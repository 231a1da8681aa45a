"""Files that are either the old one or the whole new one, whatever happens in between."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from edgeseg.errors import UsageError


def write_whole(path: Path, data: str | bytes) -> None:
    """Write a file in one step. Raises UsageError."""
    content = data.encode() if isinstance(data, str) else data
    replace_whole(path, lambda partial: partial.write_bytes(content))


def replace_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file of the same suffix beside `path`; only when it is complete does it take its place.

    Raises:
        UsageError: it cannot be written. The file that was there is untouched, whatever `write` raises.
    """
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"{path}: cannot be written ({reason}); choose another place or free the disk") from error
    finally:
        partial.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Raise UsageError, before any work is done, if the file `path` cannot be written or its folder cannot be made."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder; expected a file name")
    nearest = path if path.exists() else path.parent
    while not nearest.exists():
        nearest = nearest.parent
    if nearest != path and not nearest.is_dir():
        raise UsageError(f"{path}: cannot be written, {nearest} is not a folder; choose another place")
    if not os.access(nearest, os.W_OK):
        raise UsageError(f"{path}: cannot be written, no permission for {nearest}; choose another place")
