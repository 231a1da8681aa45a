"""Ctrl-C, SIGTERM and SIGHUP: while modules are still being imported, and as a request that a loop honours."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from edgeseg.core.limits import address_space_fault
from edgeseg.core.streams import open_standard_streams


class StopRequest:
    """A context manager; `event` is set at the first SIGINT, SIGTERM or SIGHUP. A second SIGINT acts as usual.

    A second SIGTERM or SIGHUP asks for no more than the first: what the end writes is not lost by it. A SIGHUP that was
    ignored before, as by nohup, stays so.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self._before: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        return self.event.is_set()

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():  # Python allows handlers nowhere else
            numbers = [signal.SIGINT, signal.SIGTERM]
            if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
                numbers.append(signal.SIGHUP)
            self._before = {number: signal.signal(number, self._note) for number in numbers}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.event.set()
        if number == signal.SIGINT:
            signal.signal(number, self._before[number])


@contextmanager
def stoppable(program: str) -> Iterator[None]:
    """Around a program's imports: standard streams are open, and it ends at a Ctrl-C with one line and code 130.

    As run_command does as soon as it is imported. It ends with code 2 where libraries would not load.

    At once: a KeyboardInterrupt can get lost within an import. Nothing is open yet that would have to be closed.
    """

    def end(number: int, frame: FrameType | None) -> None:
        os.write(2, f"{program}: stopped\n".encode())
        os._exit(130)

    open_standard_streams()
    fault = address_space_fault()
    if fault is not None:
        os.write(2, f"{program}: {fault}\n".encode())
        sys.exit(2)
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # as in a script's background: then it stays without effect
        signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
