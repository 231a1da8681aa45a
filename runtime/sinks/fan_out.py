"""What happens to a mask once it is ready, on threads of its own, so that it can never slow the inference."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

from edgeseg.runtime.records import FrameRecord, Ledger
from edgeseg.runtime.sinks.base import Delivery, Heartbeat, Sink
from edgeseg.runtime.sinks.stats_file import StatsFile
from edgeseg.runtime.sinks.thread import PendingDelivery, SinkThread

FINISH_TIMEOUT_S = 5.0  # for what is still waiting when the run ends: a sink on a dead network disk never finishes
_HEARTBEAT_S = 0.5
_PICTURES_AT_SINKS = 3  # each holds a slot of the ring, and the newest frame must always find one


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
        self._drop = drop
        self._stop = stop or threading.Event()
        self._notice = notice or (lambda text: None)
        self._stats = StatsFile(stats, self._notice)
        self.states = [SinkThread(sink, self._stop.set, self._say_failed(sink)) for sink in sinks]
        self._recording = threading.Lock()
        self._unrecorded: dict[int, FrameRecord] = {}
        self._pictures_out = 0
        self._beat_at = 0.0
        self._is_over = False

    def __enter__(self) -> SinkFanOut:
        self._stats.open()
        self._start_sinks()
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
        self._stats.close(FINISH_TIMEOUT_S)

    def record(self, record: FrameRecord) -> None:
        """Note what became of a frame."""
        with self._recording:
            self._add(record)

    def deliver(self, delivery: Delivery, done: Callable[[], None]) -> None:
        """Hand a mask over; `done` is called when its picture is not read any more."""
        asked = {state: state.sink.needs_picture for state in self.states if state.takes_masks}
        takers = self._with_room(asked)
        needs = {state.sink: asked[state] for state in takers}
        needs_picture = any(needs.values())
        if not needs_picture:
            done()
        if not takers:
            self.record(delivery.record)
            return
        pending = PendingDelivery(delivery, needs, lambda: self._picture_back(done), self._put_out)
        with self._recording:
            self._unrecorded[id(pending)] = delivery.record
            self._pictures_out += needs_picture
        for state in takers:
            state.put(pending)

    def beat(self) -> None:
        """Let every sink hear how the run stands, at most twice a second; call it whether masks come or not."""
        now = time.monotonic()
        if now - self._beat_at < _HEARTBEAT_S:
            return
        self._beat_at = now
        source = self.ledger.source
        away_s = source.away.so_far(now) if source.away.under_way else None
        wrong = tuple(reason for reason, episodes in source.pictures.items() if episodes.under_way)
        heartbeat = Heartbeat(self.ledger.frames, source.to_dict(), away_s, wrong)
        for state in self.states:
            state.beat(heartbeat)

    def failures(self) -> list[str]:
        """One line for each output that was given up."""
        failed = [f"output {state.sink.uri} was given up: {state.error}" for state in self.states if state.error]
        return failed + ([f"--stats was given up: {self._stats.error}"] if self._stats.error else [])

    def _with_room(self, needs: dict[SinkThread, bool]) -> list[SinkThread]:
        """Return the sinks that get the next mask, of those given with whether each needs its picture."""
        states = list(needs)
        if not self._drop:
            return [state for state in states if state.wait_for_room(self._stop)]
        for state in states:
            state.make_room()
        if self._pictures_out < _PICTURES_AT_SINKS:
            return states
        for state in states:
            state.dropped += needs[state]
        return [state for state in states if not needs[state]]

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
        if self._stats.takes_lines:
            self._stats.add(record.to_json())

    def _say_failed(self, sink: Sink) -> Callable[[str], None]:
        return lambda error: self._notice(f"output {sink.uri} was given up: {error}")

    def _start_sinks(self) -> None:
        with contextlib.ExitStack() as started:
            started.callback(self._stats.abandon)
            for state in self.states:
                state.sink.start()
                started.callback(state.sink.close)
            started.pop_all()  # all have: they are closed at the end
