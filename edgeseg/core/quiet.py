"""Holding back what C and C++ libraries write to stderr, past Python."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def suppress_stderr() -> Iterator[None]:
    """Drop what is written to the process's stderr meanwhile; show it after all if the block raises."""
    try:
        shown = os.dup(2)
    except OSError:  # it is closed: nobody sees what is written there
        yield
        return
    try:
        held = tempfile.TemporaryFile()  # noqa: SIM115 (closed below)
    except OSError:  # no room for what is dropped: it is seen then
        os.close(shown)
        yield
        return
    if sys.stderr:
        sys.stderr.flush()
    with held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(shown, held.read())
            raise
        finally:
            if sys.stderr:
                sys.stderr.flush()
            os.dup2(shown, 2)
            os.close(shown)
