"""The stack on which signal handlers run, kept as it is while a library that replaces it is at work."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator


class _Stack(ctypes.Structure):
    """stack_t of sigaltstack(2)."""

    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextlib.contextmanager
def signal_stack_kept() -> Iterator[None]:
    """Put this thread's alternate signal stack back in the end.

    OpenVINO's CPU plugin installs one of its own for each model and, when the model goes, the one that it found before.
    Models that do not go in the reverse order leave one that is freed, and the next signal, SIGTERM for example,
    ends the process with a segmentation fault.
    """
    library, before = ctypes.CDLL(None), _Stack()
    known = library.sigaltstack(None, ctypes.byref(before)) == 0
    try:
        yield
    finally:
        if known:
            library.sigaltstack(ctypes.byref(before), None)
