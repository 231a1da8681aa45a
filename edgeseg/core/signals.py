"""Ctrl-C and SIGTERM: while modules are still being imported, and as a request that a loop honours."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class StopRequest:
    """A context manager; `event` is set at the first SIGINT or SIGTERM. A second one acts as usual."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self._before: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        return self.event.is_set()

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():  # Python allows handlers nowhere else
            self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.event.set()
        signal.signal(number, self._before[number])


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
