"""The first lines of a program: what can happen while its modules are still being imported."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stoppable(program: str) -> Iterator[None]:
    """End the program at a Ctrl-C with one line and code 130, as run_command does as soon as it is imported.

    At once: a KeyboardInterrupt can get lost within an import. Nothing is open yet that would have to be closed.
    """

    def end(number: int, frame: FrameType | None) -> None:
        os.write(2, f"{program}: stopped\n".encode())
        os._exit(130)

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # as in a script's background: then it stays without effect
        signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
