"""The output thread: everything after a mask is ready happens here, so that it can never slow the inference."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from edgeseg.errors import EdgesegError, UsageError
from edgeseg.runtime.records import FrameRecord, Ledger
from edgeseg.runtime.sinks import Delivery, Sink

_WAITING_MASKS = 1  # each holds a slot of the ring


@dataclass
class SinkState:
    """What became of a sink: masks written, masks dropped because it was slow, and why it was given up."""

    sink: Sink
    written: int = 0
    dropped: int = 0
    error: str | None = None


class Outputs:
    """Owns the sinks, the `--stats` file and the ledger. A context manager; leaving it writes out what is waiting.

    Args:
        sinks: where masks go. One that fails is given up, the others go on.
        stats: JSON-lines file for the per-frame records, or None.
        drop: a mask that comes while the sinks are busy with earlier ones is not put out, rather than waited for.
    """

    def __init__(self, sinks: list[Sink], stats: Path | None = None, drop: bool = True) -> None:
        self.ledger = Ledger()
        self.states = [SinkState(sink) for sink in sinks]
        self.stats_error: str | None = None
        self._stats_path = stats
        self._drop = drop
        self._room = threading.Semaphore(_WAITING_MASKS + 1)
        self._queue: queue.SimpleQueue[tuple[FrameRecord, Delivery | None, Callable[[], None] | None] | None]
        self._queue = queue.SimpleQueue()

    def __enter__(self) -> Outputs:
        self._stats = self._open_stats()
        self._thread = threading.Thread(target=self._run, name="edgeseg-output")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._queue.put(None)
        self._thread.join()
        for state in self.states:
            self._guard(state, state.sink.close)
        if self._stats is not None:
            with contextlib.suppress(OSError):  # said already, when the write failed
                self._stats.close()

    def record(self, record: FrameRecord) -> None:
        """Note a frame that has no mask."""
        self._queue.put((record, None, None))

    def deliver(self, delivery: Delivery, done: Callable[[], None]) -> None:
        """Hand a mask over; `done` is called when its picture is not read any more."""
        if not any(state.error is None for state in self.states):
            done()
            self.record(delivery.record)
        elif self._room.acquire(blocking=not self._drop):
            self._queue.put((delivery.record, delivery, done))
        else:
            done()
            for state in self.states:
                state.dropped += 1
            self.record(delivery.record)

    def failures(self) -> list[str]:
        """One line for each sink that was given up."""
        failed = [f"output {state.sink.uri} was given up: {state.error}" for state in self.states if state.error]
        return failed + ([f"--stats was given up: {self.stats_error}"] if self.stats_error else [])

    def _open_stats(self) -> IO[str] | None:
        if self._stats_path is None:
            return None
        try:
            return self._stats_path.open("w")
        except OSError as error:
            raise UsageError(
                f"{self._stats_path}: cannot be written ({error.strerror}); choose another place"
            ) from error

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            record, delivery, done = item
            if delivery is not None:
                self._put_out(delivery)
            if done is not None:
                done()
                self._room.release()
            self.ledger.add(record)
            self._write_stats(record)

    def _put_out(self, delivery: Delivery) -> None:
        start = time.perf_counter()
        for state in self.states:
            if state.error is None and self._guard(state, partial(state.sink.write, delivery)):
                state.written += 1
        delivery.record.ms["output"] = (time.perf_counter() - start) * 1e3

    @staticmethod
    def _guard(state: SinkState, act: Callable[[], None]) -> bool:
        try:
            act()
        except Exception as error:  # a broken sink must not stop a vehicle's other outputs
            known = isinstance(error, (OSError, EdgesegError))
            state.error = str(error) if known else f"{type(error).__name__}: {error}"
            return False
        return True

    def _write_stats(self, record: FrameRecord) -> None:
        if self._stats is None or self.stats_error:
            return
        try:
            self._stats.write(record.to_json() + "\n")
        except OSError as error:
            self.stats_error = f"{self._stats_path}: {error.strerror}"
