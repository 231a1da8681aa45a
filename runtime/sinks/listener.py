"""A Unix socket at a path, for an output."""

from __future__ import annotations

import os
import secrets
import socket
import stat
from pathlib import Path

from edgeseg.core.errors import UsageError

_MODE = 0o660  # connecting takes the right to write, which no umask of a service grants to others
_PATH_BYTES = 107  # sun_path of unix(7), with its zero


def listen(path: Path, uri: str, backlog: int) -> socket.socket:
    """Return a socket that listens at `path` for the output `uri`; one that a killed run left there is replaced.

    Raises:
        OSError: it cannot.
        UsageError: the place is taken.
    """
    fresh = path.with_name(f".{secrets.token_hex(4)}")
    if max(len(os.fsencode(each)) for each in (path, fresh)) > _PATH_BYTES:
        raise UsageError(f"output {uri}: the path is longer than a socket's may be ({_PATH_BYTES}); take a shorter one")
    if os.path.lexists(path):
        _check_left_behind(path, uri)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        server.bind(os.fspath(fresh))  # fails where there is something already: nothing of others is removed
    except OSError:
        server.close()
        raise
    try:
        fresh.chmod(_MODE)
        server.listen(backlog)
        server.setblocking(False)
        fresh.replace(path)  # in one step, so that a reader always finds a socket that answers
    except OSError:
        server.close()
        fresh.unlink(missing_ok=True)
        raise
    return server


def _check_left_behind(path: Path, uri: str) -> None:
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise UsageError(f"output {uri}: a file that is no socket lies there; move it away or choose another")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:  # its process has gone
            return
        except OSError as error:
            raise UsageError(f"output {uri}: cannot tell whether it is in use ({error}); choose another") from error
    raise UsageError(f"output {uri}: another process serves masks there; stop it or choose another")
