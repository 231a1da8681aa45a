"""The parent's end of capture: the newest frame, or every frame, with its id and its capture time."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import SourceError
from edgeseg.core.geometry import Size
from edgeseg.runtime.capture import wire
from edgeseg.runtime.capture.process import CaptureProcess
from edgeseg.runtime.capture.supervisor import Supervisor
from edgeseg.runtime.health import SourceHealth
from edgeseg.runtime.settings import CaptureSettings
from edgeseg.runtime.sources.source import Source
from edgeseg.runtime.states import CLOCKS, Clock, Reason

_POLL_S = 0.1  # how soon a request to stop is noticed while no frames come
_MOST_NEWS = 100


class Skipped(NamedTuple):
    """A captured frame that nobody was given."""

    id: int
    captured_at: float
    clock: Clock


@dataclass
class CapturedFrame:
    """A frame that lies in shared memory until `release` is called.

    Attributes:
        id: counts all captured frames, from 0.
        captured_at: Unix seconds.
        captured_monotonic: seconds of the monotonic clock.
        clock: who stamped them.
        seen: what the watches saw in it (PICTURE_REASONS); nothing of a good picture.
        picture: (H, W, 3) uint8, BGR, a view into shared memory.
        skipped: older frames that nobody took since the last one.
    """

    id: int
    captured_at: float
    captured_monotonic: float
    clock: Clock
    seen: tuple[Reason, ...]
    picture: NDArray[np.uint8]
    process: CaptureProcess
    generation: int
    slot: int
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def reason(self) -> Reason | None:
        """Why its mask is not one of now; None for a good picture."""
        return self.seen[0] if self.seen else None


class Capture:
    """Owns the capture process. A context manager; the process never outlives it.

    A camera that dies, hangs or goes away is opened again, in a new process, until it comes back.

    Args:
        source: what to read.
        every_frame: short for settings with that alone.
        settings: how to watch the source.
    """

    def __init__(self, source: Source, every_frame: bool = False, settings: CaptureSettings | None = None) -> None:
        self._source = source
        self._settings = settings or CaptureSettings(every_frame)
        self._ready: deque[CapturedFrame] = deque()
        self._skipped: list[Skipped] = []
        self._news: deque[str] = deque(maxlen=_MOST_NEWS)
        self._change = threading.Condition()
        self._is_over = False
        self._error: str | None = None
        self._captured = 0
        self._taken = 0
        self._is_finished = False
        self.health = SourceHealth()
        self.size: Size | None = None
        self.fps = 0.0

    def __enter__(self) -> Capture:
        self._supervisor = Supervisor(self._source, self._settings, self.health, self)
        self._supervisor.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._supervisor.close()
        self._ready.clear()

    @property
    def pid(self) -> int | None:
        """Process id of the capture process at work; None while there is none (0 would name a whole group to kill)."""
        return self._supervisor.pid

    @property
    def is_over(self) -> bool:
        """Whether no frame will come any more."""
        with self._change:
            return self._is_over and not self._ready

    def wait_until_open(self, stop: threading.Event, until: float | None = None) -> Size | None:
        """Return the frame size once the source has given its first frame.

        None if before that `stop` was set or the monotonic clock reached `until`.

        Raises:
            SourceError: it cannot be opened, or gives no frame within OPEN_TIMEOUT_S.
        """
        with self._change:
            while self.size is None:
                if stop.is_set() or (until is not None and time.monotonic() >= until):
                    return None
                if self._error:
                    raise SourceError(self._error)
                self._change.wait(_POLL_S)
            return self.size

    def start(self) -> None:
        """Let the frames come."""
        self._supervisor.start()

    def next_frame(self, stop: threading.Event, until: float | None = None) -> CapturedFrame | None:
        """Wait for a frame; None when the source has ended, `stop` is set or the monotonic clock reaches `until`.

        Raises:
            SourceError: a file failed, or its process did; a camera was away for too long.
        """
        with self._change:
            while not self._ready:
                if stop.is_set():
                    return None
                if self._error:
                    raise SourceError(self._error)
                if self._is_over or (until is not None and time.monotonic() >= until):
                    return None
                self._change.wait(_POLL_S)
            frame = self._ready.popleft()
            frame.skipped, self._skipped = self._skipped, []
            self._taken += 1
            return frame

    def release(self, frame: CapturedFrame) -> None:
        """Give the frame's slot back; `frame.picture` must not be read any more."""
        frame.process.release(frame.generation, frame.slot)

    def finish(self) -> tuple[int, list[Skipped]]:
        """Take no more frames. Return how many were captured, and those that nobody was given.

        With `every_frame`, frames that were only read ahead do not count.
        """
        with self._change:
            self._is_finished = True
            self.health.close(time.monotonic())
            if self._settings.every_frame:
                return self._taken, []
            left = self._skipped + [Skipped(frame.id, frame.captured_at, frame.clock) for frame in self._ready]
            return self._captured, left

    def take_news(self) -> list[str]:
        """Return what a user should know of the source since the last call, a line each."""
        with self._change:
            news, self._news = list(self._news), deque(maxlen=_MOST_NEWS)
            return news

    # What follows is the supervisor's side, called on its thread.

    def tell(self, text: str) -> None:
        with self._change:
            self._news.append(text)

    def opened(self, size: Size, fps: float) -> None:
        with self._change:
            if self.size not in (None, size):
                self.health.resolution_changes += 1
                self._news.append(f"source {self._source.uri}: frames change from {self.size} to {size}")
            self.size, self.fps = size, fps
            self._change.notify_all()

    def over(self, error: str | None) -> None:
        with self._change:
            self._error, self._is_over = error, True
            self._change.notify_all()

    def add(self, process: CaptureProcess, message: wire.FrameMessage) -> None:
        with self._change:
            if self._is_finished:
                return
            assert process.ring is not None
            picture = process.ring.frames[message.slot]
            picture.flags.writeable = False
            frame = CapturedFrame(
                self._captured,
                message.captured_at,
                message.captured_monotonic,
                CLOCKS[message.clock],
                wire.reasons_of(message.seen),
                picture,
                process,
                message.generation,
                message.slot,
            )
            self._captured += 1
            self.health.note_picture(frame.seen, frame.captured_monotonic)
            while self._ready and not self._settings.every_frame:
                overtaken = self._ready.popleft()
                self._skipped.append(Skipped(overtaken.id, overtaken.captured_at, overtaken.clock))
                self.release(overtaken)
            self._ready.append(frame)
            self._change.notify_all()
