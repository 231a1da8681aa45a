"""A sink on a thread of its own: one mask being put out, at most one waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from edgeseg.core.errors import EdgesegError
from edgeseg.runtime.sinks.base import Delivery, Heartbeat, Sink, SinkClosed

_POLL_S = 0.1


class PendingDelivery:
    """A mask on its way to several sinks.

    Args:
        delivery: the mask.
        takers: the sinks that get it, and whether each reads the picture: decided once, or a slot would leak.
        picture_done: called when no sink reads the picture any more.
        mask_done: called with this when no sink holds the mask any more.
    """

    def __init__(
        self,
        delivery: Delivery,
        takers: Mapping[Sink, bool],
        picture_done: Callable[[], None],
        mask_done: Callable[[PendingDelivery], None],
    ) -> None:
        self.delivery = delivery
        self.output_ms = 0.0
        self._needs = takers
        self._pictures = sum(takers.values())
        self._masks = len(takers)
        self._picture_done = picture_done
        self._mask_done = mask_done
        self._lock = threading.Lock()

    def seen_by(self, sink: Sink) -> Delivery:
        """Return what `sink` is given."""
        return self.delivery if self._needs[sink] else self.delivery.without_picture()

    def give_back(self, sink: Sink, ms: float = 0.0) -> None:
        """Note that `sink` has it no more, after `ms` milliseconds of work: the sinks run beside each other."""
        with self._lock:
            self.output_ms = max(self.output_ms, ms)
            self._pictures -= self._needs[sink]
            self._masks -= 1
            ends_picture = self._needs[sink] and not self._pictures
            ends_mask = not self._masks
        if ends_picture:
            self._picture_done()
        if ends_mask:
            self._mask_done(self)


class SinkThread:
    """Runs a sink; one that fails is given up.

    Attributes:
        written, dropped: masks put out, and masks that it did not get because it was busy.
        error: why it was given up, or None.
    """

    def __init__(self, sink: Sink, closed: Callable[[], None], failed: Callable[[str], None]) -> None:
        """`closed` is called when the user closed the sink, `failed` with the reason when it is given up in mid-run."""
        self.sink = sink
        self.written = 0
        self.dropped = 0
        self.error: str | None = None
        self._closed = closed
        self._failed = failed
        self._is_gone = False
        self._is_ending = False
        self._waiting: PendingDelivery | None = None
        self._heartbeat: Heartbeat | None = None
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"edgeseg-output {sink.uri}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def takes_masks(self) -> bool:
        return not self._is_gone

    def make_room(self) -> None:
        """Take back what waits: a newer mask has come."""
        with self._news:
            overtaken, self._waiting = self._waiting, None
        if overtaken:
            self.dropped += 1
            overtaken.give_back(self.sink)

    def wait_for_room(self, stop: threading.Event) -> bool:
        """Wait until nothing waits; False if `stop` was set before."""
        with self._news:
            while self._waiting is not None:
                if stop.is_set():
                    self.dropped += 1
                    return False
                self._news.wait(_POLL_S)
        return True

    def put(self, pending: PendingDelivery) -> None:
        """Let a mask wait for the sink; there must be room."""
        with self._news:
            if not self._is_gone:
                self._waiting = pending
                self._news.notify_all()
                return
        pending.give_back(self.sink)

    def beat(self, heartbeat: Heartbeat) -> None:
        """Let the sink hear of it; one that is busy hears the newest."""
        with self._news:
            self._heartbeat = heartbeat
            self._news.notify_all()

    def end(self) -> None:
        """Put out what waits, then close."""
        with self._news:
            self._is_ending = True
            self._news.notify_all()
        self.sink.hurry()

    def join(self, timeout_s: float) -> None:
        """Wait for the end; a sink that takes longer is given up."""
        self._thread.join(max(0.0, timeout_s))
        if self._thread.is_alive() and self.error is None:
            self.error = "it did not finish in time"

    def to_dict(self) -> dict[str, Any]:
        """What the summary says of it."""
        return {"written": self.written, "dropped": self.dropped, "error": self.error, **self.sink.counts()}

    def _run(self) -> None:
        while (work := self._next()) is not None:
            if isinstance(work, Heartbeat):
                self._guard(partial(self.sink.beat, work))
            else:
                self._put_out(work)
            if self._is_gone:
                self.make_room()
                if self.error:
                    self._failed(self.error)
                break
        self._guard(self.sink.close)

    def _put_out(self, pending: PendingDelivery) -> None:
        start = time.perf_counter()
        self.written += self._guard(partial(self.sink.write, pending.seen_by(self.sink)))
        pending.give_back(self.sink, (time.perf_counter() - start) * 1e3)

    def _next(self) -> PendingDelivery | Heartbeat | None:
        with self._news:
            while self._waiting is None and self._heartbeat is None and not self._is_ending:
                self._news.wait()
            heartbeat, self._heartbeat = self._heartbeat, None
            if heartbeat is not None and not self._is_ending:
                return heartbeat
            pending, self._waiting = self._waiting, None
            self._news.notify_all()
            return pending

    def _guard(self, act: Callable[[], None]) -> bool:
        try:
            act()
        except SinkClosed:
            self._give_up(None)
            self._closed()
            return False
        except Exception as error:  # a broken sink must not stop a vehicle's other outputs
            known = isinstance(error, (OSError, EdgesegError))
            self._give_up(str(error) if known else f"{type(error).__name__}: {error}")
            return False
        return True

    def _give_up(self, reason: str | None) -> None:
        with self._news:
            self._is_gone = True
            self.error = self.error or reason
            self._news.notify_all()
