"""Files that are either the old one or the whole new one, whatever happens in between."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from edgeseg.errors import UsageError

T = TypeVar("T")


def write_whole(path: Path, data: str | bytes) -> None:
    """Write a file in one step. Raises UsageError."""
    content = data.encode() if isinstance(data, str) else data
    replace_whole(path, lambda partial: partial.write_bytes(content))


def replace_whole(path: Path, write: Callable[[Path], T]) -> T:
    """Let `write` make a file of the same suffix beside `path`; only when it is complete does it take its place.

    Returns:
        What `write` returned.

    Raises:
        UsageError: it cannot be written. The file that was there is untouched, whatever `write` raises.
    """
    path = _target(path)
    if os.path.exists(path) and not os.path.isfile(path):  # a device such as /dev/null must stay one
        return write(path)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        result = write(partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
        return result
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"{path}: cannot be written ({reason}); choose another place or free the disk") from error
    finally:
        with contextlib.suppress(OSError):  # it is gone, or could never be made
            partial.unlink()


def _target(path: Path) -> Path:
    """Follow links, so that the file they name is replaced and not the link."""
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:  # a loop of links
        raise UsageError(f"{path}: cannot be written ({error}); choose another place") from error


def check_writable(path: Path) -> None:
    """Make the folder of the file `path`, and raise UsageError, before any work is done, if it cannot be written."""
    path = _target(path)
    probe = path.with_name(f".{path.stem[:100]}.probe")
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder; expected a file name")
        path.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
        writable = not path.exists() or os.access(path, os.W_OK)
        reason = "no permission"
    except OSError as error:
        writable, reason = False, error.strerror or str(error)
    if not writable:
        raise UsageError(f"{path}: cannot be written ({reason}); choose another place")
