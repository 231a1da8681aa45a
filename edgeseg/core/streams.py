"""Standard input, output and error, which whoever starts a program may have closed, filled or taken away."""

from __future__ import annotations

import os
import sys


def open_standard_streams() -> None:
    """Give descriptors 0, 1 and 2 that are closed the null device.

    The next file or socket would get their numbers else, and what a library complains of on standard error would be
    written into it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def silence_output() -> None:
    """Let standard output, which cannot be written, be the null device, so that Python does not fail at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
