"""What happens to a mask once it is ready, on threads of its own, so that it can never slow the inference."""

from __future__ import annotations

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

FINISH_TIMEOUT_S = 5.0  # for what is still waiting when the run ends: a sink on a dead network disk never finishes
_MASKS_AT_SINKS = 2  # one being put out, one waiting; each holds a slot of the ring
_LINES_WAITING = 10_000  # of the --stats file, when its disk hangs
_POLL_S = 0.1


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
        stop: ends the waiting for busy sinks.
    """

    def __init__(
        self,
        sinks: list[Sink],
        stats: Path | None = None,
        drop: bool = True,
        stop: threading.Event | None = None,
    ) -> None:
        self.ledger = Ledger()
        self.states = [SinkState(sink) for sink in sinks]
        self.stats_error: str | None = None
        self._stats_path = stats
        self._drop = drop
        self._stop = stop or threading.Event()
        self._recording = threading.Lock()
        self._room = threading.Semaphore(_MASKS_AT_SINKS)
        self._masks: queue.SimpleQueue[tuple[Delivery, Callable[[], None]] | None] = queue.SimpleQueue()
        self._lines: queue.Queue[str | None] = queue.Queue(_LINES_WAITING)
        self._unrecorded: list[FrameRecord] = []
        self._busy: SinkState | None = None
        self._is_over = False

    def __enter__(self) -> Outputs:
        stats = self._open_stats()
        self._sinks = threading.Thread(target=self._put_out_masks, name="edgeseg-output", daemon=True)
        self._writer = threading.Thread(target=self._write_lines, args=[stats], name="edgeseg-stats", daemon=True)
        self._sinks.start()
        self._writer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._masks.put(None)
        self._sinks.join(FINISH_TIMEOUT_S)
        with self._recording:
            self._is_over = True
            left = list(self._unrecorded)
            if self._sinks.is_alive() and self._busy:
                self._busy.error = f"it did not finish within {FINISH_TIMEOUT_S:g} s"
        for record in left:
            self.record(record)
        for state in self.states:
            if state is not self._busy and state.error is None:
                self._guard(state, state.sink.close)
        self._end_stats()

    def record(self, record: FrameRecord) -> None:
        """Note what became of a frame."""
        with self._recording:
            self.ledger.add(record)
        if self._stats_path is not None and self.stats_error is None:
            try:
                self._lines.put_nowait(record.to_json() + "\n")
            except queue.Full:
                self.stats_error = f"{self._stats_path}: the disk takes no more lines"

    def deliver(self, delivery: Delivery, done: Callable[[], None]) -> None:
        """Hand a mask over; `done` is called when its picture is not read any more."""
        if not any(state.error is None for state in self.states):
            done()
            self.record(delivery.record)
        elif self._has_room():
            with self._recording:
                self._unrecorded.append(delivery.record)
            self._masks.put((delivery, done))
        else:
            done()
            for state in self.states:
                state.dropped += 1
            self.record(delivery.record)

    def failures(self) -> list[str]:
        """One line for each output that was given up."""
        failed = [f"output {state.sink.uri} was given up: {state.error}" for state in self.states if state.error]
        return failed + ([f"--stats was given up: {self.stats_error}"] if self.stats_error else [])

    def _has_room(self) -> bool:
        if self._drop:
            return self._room.acquire(blocking=False)
        while not self._room.acquire(timeout=_POLL_S):
            if self._stop.is_set():
                return False
        return True

    def _put_out_masks(self) -> None:
        while (item := self._masks.get()) is not None:
            delivery, done = item
            start = time.perf_counter()
            for state in self.states:
                if state.error is None:
                    self._busy = state
                    state.written += self._guard(state, partial(state.sink.write, delivery))
            self._busy = None
            delivery.record.ms["output"] = (time.perf_counter() - start) * 1e3
            with self._recording:
                if self._is_over:  # whoever waited for this has accounted for it and gone on
                    return
                self._unrecorded.remove(delivery.record)
            done()
            self._room.release()
            self.record(delivery.record)

    @staticmethod
    def _guard(state: SinkState, act: Callable[[], None]) -> bool:
        try:
            act()
        except Exception as error:  # a broken sink must not stop a vehicle's other outputs
            known = isinstance(error, (OSError, EdgesegError))
            state.error = str(error) if known else f"{type(error).__name__}: {error}"
            return False
        return True

    def _open_stats(self) -> IO[str] | None:
        if self._stats_path is None:
            return None
        try:
            return self._stats_path.open("w", buffering=1)  # by lines, so that SIGKILL loses none that was written
        except OSError as error:
            raise UsageError(f"{self._stats_path}: cannot be written ({error.strerror}); choose another") from error

    def _write_lines(self, stats: IO[str] | None) -> None:
        try:
            while (line := self._lines.get()) is not None:
                if stats is not None and self.stats_error is None:
                    stats.write(line)
            if stats is not None:
                stats.close()
        except OSError as error:
            self.stats_error = f"{self._stats_path}: {error.strerror}"

    def _end_stats(self) -> None:
        if not self._lines.full():
            self._lines.put(None)
        self._writer.join(FINISH_TIMEOUT_S)
        if self._writer.is_alive() and self.stats_error is None:
            self.stats_error = f"{self._stats_path}: it did not finish within {FINISH_TIMEOUT_S:g} s"
