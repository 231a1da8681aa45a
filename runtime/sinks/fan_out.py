"""What happens to a mask once it is ready, on threads of its own, so that it can never slow the inference."""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from edgeseg.core.errors import UsageError
from edgeseg.runtime.records import FrameRecord, Ledger
from edgeseg.runtime.sinks.base import Delivery, Sink
from edgeseg.runtime.sinks.thread import PendingDelivery, SinkThread

FINISH_TIMEOUT_S = 5.0  # for what is still waiting when the run ends: a sink on a dead network disk never finishes
_PICTURES_AT_SINKS = 3  # each holds a slot of the ring, and the newest frame must always find one
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
_LINES_WAITING = 10_000  # of the --stats file, when its disk hangs


class SinkFanOut:
    """Owns the sinks, the `--stats` file and the ledger. A context manager; leaving it writes out what is waiting.

    Args:
        sinks: where masks go, each on a thread of its own. One that fails is given up, the others go on.
        stats: JSON-lines file for the per-frame records, or None.
        drop: a sink that is busy gets the newest mask next, and those in between never, rather than being waited for.
        stop: ends the waiting for busy sinks; set when the user closes a sink.
        notice: takes one line when a sink is given up in mid-run.
        ledger: where frames are counted; one of its own if there is none yet.
    """

    def __init__(
        self,
        sinks: list[Sink],
        stats: Path | None = None,
        drop: bool = True,
        stop: threading.Event | None = None,
        notice: Callable[[str], None] | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self.ledger = ledger or Ledger()
        self.stats_error: str | None = None
        self._stats_path = stats
        self._drop = drop
        self._stop = stop or threading.Event()
        self._notice = notice
        self.states = [SinkThread(sink, self._stop.set, self._say_failed(sink)) for sink in sinks]
        self._recording = threading.Lock()
        self._lines: queue.Queue[str | None] = queue.Queue(_LINES_WAITING)
        self._unrecorded: dict[int, FrameRecord] = {}
        self._pictures_out = 0
        self._is_over = False

    def __enter__(self) -> SinkFanOut:
        stats = self._open_stats()
        self._start_sinks(stats)
        self._writer = threading.Thread(target=self._write_lines, args=[stats], name="edgeseg-stats", daemon=True)
        self._writer.start()
        for state in self.states:
            state.start()
        return self

    def __exit__(self, *_: object) -> None:
        deadline = time.monotonic() + FINISH_TIMEOUT_S
        for state in self.states:
            state.end()
        for state in self.states:
            state.join(deadline - time.monotonic())
        with self._recording:
            self._is_over = True
            left = list(self._unrecorded.values())
        for record in left:
            self.record(record)
        self._end_stats()

    def record(self, record: FrameRecord) -> None:
        """Note what became of a frame."""
        with self._recording:
            self._add(record)

    def deliver(self, delivery: Delivery, done: Callable[[], None]) -> None:
        """Hand a mask over; `done` is called when its picture is not read any more."""
        takers = self._with_room([state for state in self.states if state.takes_masks])
        sinks = [state.sink for state in takers]
        needs_picture = any(sink.needs_picture for sink in sinks)
        if not needs_picture:
            done()
        if not takers:
            self.record(delivery.record)
            return
        pending = PendingDelivery(delivery, sinks, lambda: self._picture_back(done), self._put_out)
        with self._recording:
            self._unrecorded[id(pending)] = delivery.record
            self._pictures_out += needs_picture
        for state in takers:
            state.put(pending)

    def failures(self) -> list[str]:
        """One line for each output that was given up."""
        failed = [f"output {state.sink.uri} was given up: {state.error}" for state in self.states if state.error]
        return failed + ([f"--stats was given up: {self.stats_error}"] if self.stats_error else [])

    def _with_room(self, states: list[SinkThread]) -> list[SinkThread]:
        if not self._drop:
            return [state for state in states if state.wait_for_room(self._stop)]
        for state in states:
            state.make_room()
        if self._pictures_out < _PICTURES_AT_SINKS:
            return states
        for state in states:
            state.dropped += state.sink.needs_picture
        return [state for state in states if not state.sink.needs_picture]

    def _picture_back(self, done: Callable[[], None]) -> None:
        with self._recording:
            self._pictures_out -= 1
            if self._is_over:
                return
        done()

    def _put_out(self, pending: PendingDelivery) -> None:
        record = pending.delivery.record
        with self._recording:
            if self._is_over:  # whoever waited for this has accounted for it and gone on
                return
            del self._unrecorded[id(pending)]
            record.ms["output"] = pending.output_ms
            self._add(record)

    def _add(self, record: FrameRecord) -> None:
        self.ledger.add(record)
        if self._stats_path is not None and self.stats_error is None:
            try:
                self._lines.put_nowait(record.to_json() + "\n")
            except queue.Full:
                self.stats_error = f"{self._stats_path}: the disk takes no more lines"

    def _say_failed(self, sink: Sink) -> Callable[[str], None]:
        return lambda error: self._notice(f"output {sink.uri} was given up: {error}") if self._notice else None

    def _start_sinks(self, stats: IO[str] | None) -> None:
        with contextlib.ExitStack() as started:
            if stats is not None:
                started.callback(stats.close)
            for state in self.states:
                state.sink.start()
                started.callback(state.sink.close)
            started.pop_all()  # all have: they are closed at the end

    def _open_stats(self) -> IO[str] | None:
        if self._stats_path is None:
            return None
        try:
            descriptor = os.open(self._stats_path, _CREATE | os.O_NONBLOCK, 0o666)  # a pipe without reader is an error
            os.set_blocking(descriptor, True)
            return os.fdopen(descriptor, "w", buffering=1)  # by lines, so that SIGKILL loses none that was written
        except OSError as error:
            reason = error.strerror
            if error.errno == errno.ENXIO:
                raise UsageError(
                    f"{self._stats_path}: a pipe that nobody reads ({reason}); start its reader"
                ) from error
            raise UsageError(f"{self._stats_path}: cannot be written ({reason}); choose another") from error

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
