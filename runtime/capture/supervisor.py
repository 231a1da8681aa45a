"""Keeps a capture process at work: one that dies or hangs, or whose camera went away, is followed by another."""

from __future__ import annotations

import json
import threading
import time
from typing import NamedTuple, Protocol

from edgeseg.core.geometry import Size
from edgeseg.runtime.capture import wire
from edgeseg.runtime.capture.process import CaptureProcess
from edgeseg.runtime.capture.recovery import Backoff, probe_of, wait_for_return
from edgeseg.runtime.health import SourceHealth
from edgeseg.runtime.settings import CaptureSettings
from edgeseg.runtime.sources.source import Source

OPEN_TIMEOUT_S = 20.0  # a cold disk, a slow import, a camera that sends a key frame every 10 s
REOPEN_TIMEOUT_S = 5.0  # of the first try to open a camera again; half as much more after each that fails
FILE_STALL_TIMEOUT_S = 10.0  # between two frames of a file, on a slow disk
FROZEN_S = 0.5
_SLOW_PERIODS = 3  # a source of one frame in 20 s has not stalled after 10
_POLL_S = 0.1


class End(NamedTuple):
    """How a capture process ended: `end`, `failure`, `stall`, `death` or `hopeless`, and why."""

    kind: str
    text: str


class Consumer(Protocol):
    """Who is told, on the supervisor's thread."""

    def opened(self, size: Size, fps: float) -> None: ...
    def add(self, process: CaptureProcess, message: wire.FrameMessage) -> None: ...
    def tell(self, text: str) -> None: ...
    def over(self, error: str | None) -> None: ...


class Supervisor:
    """Runs capture processes, one at a time, on a thread of its own, until the source has ended or is given up."""

    def __init__(self, source: Source, settings: CaptureSettings, health: SourceHealth, consumer: Consumer) -> None:
        self._source, self._settings, self._health, self._consumer = source, settings, health, consumer
        frozen_s = settings.frozen_s if settings.frozen_s is not None else FROZEN_S if source.is_camera else 0.0
        self._request = {
            "source": source.to_dict(),
            "every_frame": settings.every_frame,
            "frozen_s": frozen_s,
            "plausibility": settings.plausibility,
        }
        self._reached = 0  # frames that came, of all capture processes
        self._fps = 0.0
        self._was_there = self._has_streamed = False
        self._gone_since: float | None = time.monotonic()  # None while frames come
        self._is_started = False
        self._process: CaptureProcess | None = None
        self._changing = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edgeseg-capture", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End the capture process; return once it is gone."""
        self._closing.set()
        self._thread.join()

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process else None

    def start(self) -> None:
        """Let frames come, from this capture process and from those that follow it."""
        with self._changing:
            self._is_started = True
            if self._process and self._process.opened_at is not None:
                self._process.start()

    def _run(self) -> None:
        try:
            error = self._supervise()
        except Exception as failure:  # whatever it is, the loop must hear of it
            error = f"source {self._source.uri}: capture failed: {type(failure).__name__}: {failure}"
        self._consumer.over(error)

    def _supervise(self) -> str | None:
        """Return why it ended for good; None if the source came to its end or `close` was called."""
        backoff, delay_s, failures = Backoff(), 0.0, 0
        while True:
            end, streamed_s = self._run_once(delay_s, self._patience_s(failures))
            if self._closing.is_set() or (end.kind == "end" and not self._source.is_camera):
                return None
            if not self._source.is_camera and end.kind == "death" and streamed_s:
                self._note_resumption(end)
                continue
            if not self._source.is_camera or end.kind == "hopeless" or self._left_s() <= 0:
                return end.text
            if not self._was_there:
                self._note_absence(end)
            failures = 0 if streamed_s else failures + 1
            delay_s = backoff.failed(streamed_s)

    def _left_s(self) -> float:
        """For how long a camera that is away may stay so."""
        limit_s = self._settings.give_up_s
        if limit_s is None:
            limit_s = float("inf") if self._was_there else 0.0
        return limit_s if self._gone_since is None else self._gone_since + limit_s - time.monotonic()

    def _patience_s(self, failures: int) -> float:
        """For how long a first frame is waited for."""
        if not self._source.is_camera:
            return OPEN_TIMEOUT_S
        stall_s = self._settings.stall_s  # a camera that may be silent for so long may be so at first, too
        open_s, again_s = max(OPEN_TIMEOUT_S, stall_s), max(REOPEN_TIMEOUT_S, stall_s) * 1.5 ** min(failures, 10)
        left_s = self._left_s() if self._was_there or self._settings.give_up_s is not None else open_s
        return min(open_s, again_s if self._was_there else open_s, max(1.0, left_s))

    def _run_once(self, delay_s: float, patience_s: float) -> tuple[End, float]:
        """Open the source after a wait and follow it to its end; return that, and for how long it gave frames."""
        try:
            with CaptureProcess(self._settings.max_pixels) as process:
                self._process = process
                if delay_s:
                    self._health.attempts += 1
                    wait_for_return(delay_s, probe_of(self._source), self._closing, max(0.0, self._left_s()))
                with self._changing:
                    process.open(json.dumps({**self._request, "reached": self._reached}), self._is_started)
                end = self._follow(process, patience_s)
                if process.ring is not None and not self._closing.is_set():
                    self._note_interruption(end, process.heard_at)
                since = process.first_frame_at
                return end, 0.0 if since is None else time.monotonic() - since
        except OSError as error:  # no process, memory or descriptor to be had passes as a camera's faults do
            return End("death", f"source {self._source.uri}: no capture process ({error.strerror or error})"), 0.0
        finally:
            self._process = None

    def _follow(self, process: CaptureProcess, patience_s: float) -> End:
        """Hand on what a capture process gives, until it ends, stalls or `close` is called."""
        while not self._closing.is_set():
            received = process.receive(_POLL_S)
            end = None if received is None else self._handle(process, *received)
            # Damaged pictures are no frames: where they come at the camera's rate, nothing else would ever look.
            if received is None or (self._source.is_camera and received[0][:1] == wire.DAMAGED):
                end = end or self._overdue(process, patience_s)
            if end:
                return end
        return End("end", "closed")

    def _overdue(self, process: CaptureProcess, patience_s: float) -> End | None:
        is_camera, uri = self._source.is_camera, self._source.uri
        if process.ring is None:
            patience_s = patience_s if process.is_opening else OPEN_TIMEOUT_S
            text = f"source {uri}: no first frame within {patience_s:g} s{_damage_of(process)}; check that it delivers"
            return End("stall", text) if process.is_silent_for(patience_s) else None
        if not self._is_started:
            return None
        timeout_s = self._settings.stall_s if is_camera else FILE_STALL_TIMEOUT_S
        timeout_s = max(timeout_s, _SLOW_PERIODS / self._fps) if self._fps else timeout_s
        text = f"source {uri}: no frame for {timeout_s:g} s{_damage_of(process)}; check the source"
        return End("stall", text) if process.is_silent_for(timeout_s) else None

    def _handle(self, process: CaptureProcess, data: bytes, descriptors: list[int]) -> End | None:
        kind, body, end = data[:1], data[1:], None
        if kind == wire.FRAME:
            process.hold()
            self._reached += 1
            self._note_return()
            self._consumer.add(process, wire.unpack_frame(data))
        elif kind == wire.OPENING:
            process.begin_opening()
            self._begin_waiting()
        elif kind == wire.FORMAT:
            opened = json.loads(body)  # of a process of ours
            size, self._fps, self._was_there = Size(opened["height"], opened["width"]), opened["fps"], True
            process.add_ring(size, descriptors[0])
            self._consumer.opened(size, self._fps)
        elif kind == wire.DAMAGED:
            self._health.damaged += 1
            process.damaged += 1
        elif kind == wire.WARNING:
            self._consumer.tell(body.decode(errors="replace"))
        else:
            end = self._end_of(process, kind, body.decode(errors="replace"))
        return end

    def _end_of(self, process: CaptureProcess, kind: bytes, text: str) -> End:
        kinds = {wire.END: "end", wire.ERROR: "failure", wire.HOPELESS: "hopeless"}
        if kind == wire.END:
            text = f"source {self._source.uri}: the stream ended; check the camera"
        if kind not in kinds:
            again = "" if self._source.is_camera or process.first_frame_at else f" before frame {self._reached}"
            return End("death", f"source {self._source.uri}: {process.describe_exit(again)}")
        return End(kinds[kind], text)

    def _begin_waiting(self) -> None:
        """At the very first, a camera is away from when it is asked for a frame."""
        if not self._was_there and not self._health.away.under_way:
            self._gone_since = time.monotonic()

    def _note_absence(self, end: End) -> None:
        """Say once that a camera is not there at the start."""
        if self._gone_since is not None and not self._health.away.under_way:
            self._health.away.begin(self._gone_since)
            self._consumer.tell(f"{end.text}; it is waited for")

    def _note_return(self) -> None:
        if self._gone_since is None:
            return
        self._gone_since = None
        is_back, self._has_streamed = self._has_streamed, True
        if self._health.away.under_way:
            self._health.reconnects += is_back
            away_s = self._health.away.end(time.monotonic())
            self._consumer.tell(f"source {self._source.uri}: {'back' if is_back else 'there'} after {away_s:.1f} s")

    def _note_resumption(self, end: End) -> None:
        """A source that waits goes on where it was: no frame is lost. One that gives none any more has ended."""
        self._health.deaths += 1
        self._consumer.tell(f"{end.text}; it goes on behind frame {self._reached - 1}")

    def _note_interruption(self, end: End, last_frame_at: float) -> None:
        if not self._source.is_camera:
            return
        counter = {"stall": "stalls", "death": "deaths"}.get(end.kind, "losses")
        setattr(self._health, counter, getattr(self._health, counter) + 1)
        if self._gone_since is None:
            self._gone_since = last_frame_at
        self._health.away.begin(self._gone_since)
        self._consumer.tell(f"{end.text}; it is opened again until it comes back")


def _damage_of(process: CaptureProcess) -> str:
    return f", but {process.damaged} damaged pictures, of which none can be decoded" if process.damaged else ""
