"""Folders that are either the old one or the whole new one, whatever happens in between."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from edgeseg.core.errors import UsageError
from edgeseg.core.files import put_on_disk, target_of
from edgeseg.core.locks import WriterLock, lock_beside

T = TypeVar("T")
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


def replace_whole_folder(path: Path, write: Callable[[Path], T]) -> T:
    """Let `write` fill a new folder beside `path`; only when it is complete does it take its place.

    Until then, and after a kill, it is `.<name>.partial`, which the next run removes.

    Returns:
        What `write` returned.

    Raises:
        UsageError: it cannot be written, or another process is writing it. A folder that was there is untouched.
    """
    path = target_of(path)
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with WriterLock(lock_beside(path), path), _own_folder(partial):
            _restore(path)
            result = write(partial)
            for file in partial.rglob("*"):
                put_on_disk(file)
            _take_place(partial, path)
        return result
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"{path}: cannot be written ({reason}); choose another place or free the disk") from error


@contextlib.contextmanager
def _own_folder(folder: Path) -> Iterator[None]:
    """Make an empty folder, and remove it or what took its name."""
    folder.mkdir(exist_ok=True)
    try:
        _empty(folder)  # of a run that was killed
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _empty(folder: Path) -> None:
    for each in folder.iterdir():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def _restore(path: Path) -> None:
    """Undo what a kill between the two renames of `_take_place` left."""
    aside = _aside(path)
    if aside.is_dir() and not path.exists():
        aside.rename(path)
    shutil.rmtree(aside, ignore_errors=True)


def _take_place(new: Path, path: Path) -> None:
    """Give `new` the name `path`; a folder that has it becomes `new`, or is removed.

    Linux exchanges two names in one step. A file system that cannot (NFS, some FUSE) has a moment without the name.
    """
    if not path.exists() or not any(path.iterdir()):
        new.replace(path)
    elif not _exchanged(new, path):
        path.rename(_aside(path))
        new.rename(path)
        shutil.rmtree(_aside(path), ignore_errors=True)


def _exchanged(a: Path, b: Path) -> bool:
    rename = getattr(ctypes.CDLL(None), "renameat2", None)  # glibc 2.28
    return rename is not None and rename(AT_FDCWD, os.fsencode(a), AT_FDCWD, os.fsencode(b), RENAME_EXCHANGE) == 0
