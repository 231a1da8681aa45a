"""Files that are either the old one or the whole new one, whatever happens in between."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, unquote

from edgeseg.core.errors import UsageError
from edgeseg.core.locks import LOCK

T = TypeVar("T")
_LONGEST_STEM = 100  # bytes of a partial file's name, which may not be longer than the file system allows


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
    path = target_of(path)
    if os.path.exists(path) and not os.path.isfile(path):  # a device such as /dev/null must stay one
        try:
            with _reader_held(path):
                return write(path)
        except OSError as error:  # /dev/full
            raise _unwritable(path, error) from error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _own_partial(path) as partial:
            result = write(partial)
            if lasting:
                put_on_disk(partial)
            partial.replace(path)
        return result
    except OSError as error:
        raise _unwritable(path, error) from error


@contextlib.contextmanager
def _own_partial(path: Path) -> Iterator[Path]:
    """Make an empty file that no other writer has, of the same suffix and in the same folder; remove it at the end.

    What a killed run has left is taken again, so that it does not stay for ever: a lock dies with its process.
    """
    partial, held = _partial_of(path)
    try:
        yield partial
    finally:
        with contextlib.suppress(OSError):  # it has its final name
            partial.unlink()
        os.close(held)


def _partial_of(path: Path) -> tuple[Path, int]:
    stem = os.fsdecode(os.fsencode(path.stem)[:_LONGEST_STEM])
    for number in itertools.count():
        partial = path.with_name(f".{stem}.partial{number or ''}{path.suffix}")
        try:
            held = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except PermissionError:
            if not os.path.lexists(partial):
                raise
            continue  # of another user
        if _is_ours(held, partial):
            os.ftruncate(held, 0)
            return partial, held
        os.close(held)
    raise AssertionError("itertools.count has no end")


def _is_ours(held: int, partial: Path) -> bool:
    """Lock an open file; False if another writer has it, or had it when it was opened."""
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.stat(partial), os.fstat(held))
    except (BlockingIOError, FileNotFoundError):
        return False
    except OSError:  # a file system without locks
        return True


def _unwritable(path: Path, error: OSError) -> UsageError:
    reason = error.strerror or str(error)
    return UsageError(f"{path}: cannot be written ({reason}); choose another place or free the disk")


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


def put_on_disk(path: Path) -> None:
    """Have what was written to a file or folder outlast a power cut. Raises OSError."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def target_of(path: Path) -> Path:
    """Follow links, so that the file they name is replaced and not the link. Raises UsageError for a loop of them."""
    try:
        real = path.resolve()
        # A shell's >(program) is a link in /proc that leads to an open pipe, though by no name.
        return path if os.path.exists(path) and not os.path.exists(real) else real
    except (OSError, RuntimeError) as error:  # a loop of links
        raise UsageError(f"{path}: cannot be written ({error}); choose another place") from error


def check_writable(path: Path) -> None:
    """Make the folder of the file `path`, and raise UsageError, before any work is done, if it cannot be written."""
    path = target_of(path)
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder; expected a file name")
        if path.is_fifo():  # as of >(program), in a folder where nothing can be made
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()  # without a name, where the file system can do that
        with contextlib.suppress(FileNotFoundError):
            path.lstat()  # a name that is too long
        writable = not path.exists() or os.access(path, os.W_OK)
        reason = "no permission"
    except OSError as error:
        writable, reason = False, error.strerror or str(error)
    if not writable:
        raise UsageError(f"{path}: cannot be written ({reason}); choose another place")


def is_taken(path: Path) -> bool:
    """Return whether a folder holds something already, but for a writer's lock.

    Raises:
        UsageError: it cannot be looked into.
    """
    try:
        return path.exists() and any(each.name != LOCK for each in path.iterdir())
    except OSError as error:
        raise UsageError(f"{path}: cannot be looked into ({error.strerror}); choose another folder") from error
