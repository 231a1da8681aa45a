"""Files and folders that are either the old one or the whole new one, whatever happens in between."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, unquote

from edgeseg.core.errors import UsageError

T = TypeVar("T")
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


def printable(name: str) -> str:
    """Return a file name as text that can be drawn and written: bytes that are no UTF-8 become U+FFFD."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def path_of_file_url(rest: str) -> str:
    """Return the path that stands behind `file://`: `%20` is a blank (RFC 8089), unless a file has it in its name."""
    decoded = unquote(rest, errors="surrogateescape")
    return rest if os.path.lexists(os.path.expanduser(rest)) and not os.path.lexists(decoded) else decoded


def file_url(path: Path) -> str:
    """Return the address `file://` of a path, relative or absolute, which `path_of_file_url` makes a path again."""
    return f"file://{quote(os.fsencode(path))}"


def lower_scheme(address: str) -> str:
    """Return an address with its scheme in lower case: `RTSP://Camera/` is `rtsp://Camera/` (RFC 3986, 3.1)."""
    scheme, separator, rest = address.partition("://")
    return f"{scheme.lower()}{separator}{rest}" if separator else address


def write_whole(path: Path, data: str | bytes, lasting: bool = True) -> None:
    """Write a file in one step; `lasting` waits until it would outlast a power cut. Raises UsageError."""
    content = data.encode() if isinstance(data, str) else data
    replace_whole(path, lambda partial: partial.write_bytes(content), lasting)


def replace_whole(path: Path, write: Callable[[Path], T], lasting: bool = True) -> T:
    """Let `write` make a file of the same suffix beside `path`; only when it is complete does it take its place.

    Returns:
        What `write` returned.

    Raises:
        UsageError: it cannot be written. The file that was there is untouched, whatever `write` raises.
    """
    path = _target(path)
    if os.path.exists(path) and not os.path.isfile(path):  # a device such as /dev/null must stay one
        with _reader_held(path):
            return write(path)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        result = write(partial)
        if lasting:
            put_on_disk(partial)
        partial.replace(path)
        return result
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"{path}: cannot be written ({reason}); choose another place or free the disk") from error
    finally:
        with contextlib.suppress(OSError):  # it is gone, or could never be made
            partial.unlink()


@contextlib.contextmanager
def _reader_held(path: Path) -> Iterator[None]:
    """Raise UsageError for a named pipe that nobody reads: writing to it would wait for ever."""
    if not path.is_fifo():
        yield
        return
    try:
        held = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        raise UsageError(f"{path}: a pipe that nobody reads ({error.strerror}); start its reader first") from error
    try:
        yield
    finally:
        os.close(held)


def replace_whole_folder(path: Path, write: Callable[[Path], T]) -> T:
    """Let `write` fill a new folder beside `path`; only when it is complete does it take its place.

    Until then, and after a kill, it is `.<name>.partial`, which the next run removes.

    Returns:
        What `write` returned.

    Raises:
        UsageError: it cannot be written, or another process is writing it. A folder that was there is untouched.
    """
    path = _target(path)
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _own_folder(partial, path):
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
def _own_folder(folder: Path, wanted: Path) -> Iterator[None]:
    """Make an empty folder, held by a lock that dies with the process, and remove it or what took its name."""
    folder.mkdir(exist_ok=True)
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"{wanted}: another process is writing it; wait for it or choose another place") from error
        except OSError:  # NFS locks no folders; nothing else depends on the lock
            pass
        try:
            _empty(folder)  # of a run that was killed
            yield
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(held)


def put_on_disk(path: Path) -> None:
    """Have what was written to a file or folder outlast a power cut. Raises OSError."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


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


def _target(path: Path) -> Path:
    """Follow links, so that the file they name is replaced and not the link."""
    try:
        real = path.resolve()
        # A shell's >(program) is a link in /proc that leads to an open pipe, though by no name.
        return path if os.path.exists(path) and not os.path.exists(real) else real
    except (OSError, RuntimeError) as error:  # a loop of links
        raise UsageError(f"{path}: cannot be written ({error}); choose another place") from error


def check_writable(path: Path) -> None:
    """Make the folder of the file `path`, and raise UsageError, before any work is done, if it cannot be written."""
    path = _target(path)
    probe = path.with_name(f".{path.stem[:100]}.probe")
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder; expected a file name")
        if path.is_fifo():  # as of >(program), in a folder where nothing can be made
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
        writable = not path.exists() or os.access(path, os.W_OK)
        reason = "no permission"
    except OSError as error:
        writable, reason = False, error.strerror or str(error)
    if not writable:
        raise UsageError(f"{path}: cannot be written ({reason}); choose another place")


def is_taken(path: Path) -> bool:
    """Return whether a folder holds something already. Raises UsageError if it cannot be looked into."""
    try:
        return path.exists() and any(path.iterdir())
    except OSError as error:
        raise UsageError(f"{path}: cannot be looked into ({error.strerror}); choose another folder") from error
