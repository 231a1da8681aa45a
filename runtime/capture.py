"""The parent's end of the capture process: the newest frame, or every frame, with its id and its capture time."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edgeseg.errors import SourceError
from edgeseg.geometry import Size
from edgeseg.runtime import wire
from edgeseg.runtime.ring import Ring
from edgeseg.runtime.sources import Source

OPEN_TIMEOUT_S = 20.0  # a cold disk, a slow import; a camera's own time-outs end earlier
STALL_TIMEOUT_S = 10.0  # between two frames, far beyond any rate that is of use
_SLOW_PERIODS = 3  # a source of one frame in 20 s has not stalled after 10
_POLL_S = 0.1  # how soon a request to stop is noticed while no frames come

# The child finds modules where this process does, whatever the working folder holds.
_CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); import edgeseg.runtime.capture_worker as w; w.main()"
)


@dataclass
class CapturedFrame:
    """A frame that lies in shared memory until `release` is called.

    Attributes:
        id: counts all captured frames, from 0.
        captured_at: Unix seconds.
        captured_monotonic: seconds of the monotonic clock.
        picture: (H, W, 3) uint8, BGR, a view into shared memory.
        skipped: (id, captured_at) of older frames that nobody took since the last one.
    """

    id: int
    captured_at: float
    captured_monotonic: float
    picture: NDArray[np.uint8]
    generation: int
    slot: int
    skipped: list[tuple[int, float]] = field(default_factory=list)


class Capture:
    """Owns the capture process. A context manager; the process never outlives it.

    Args:
        source: what to read.
        every_frame: take each frame of the source, as fast as it is consumed; otherwise the source runs at its own
            rate and only the newest frame is kept.
    """

    def __init__(self, source: Source, every_frame: bool = False) -> None:
        self._source = source
        self._every_frame = every_frame
        self._ready: deque[CapturedFrame] = deque()
        self._skipped: list[tuple[int, float]] = []
        self._news = threading.Condition()
        self._ring: Ring | None = None
        self._ended = False
        self._error: str | None = None
        self._captured = 0
        self._taken = 0
        self._is_finished = False
        self.size: Size | None = None
        self.fps = 0.0

    def __enter__(self) -> Capture:
        self._channel, theirs = wire.socket_pair()
        arguments = [str(theirs.fileno()), str(os.getpid()), str(int(self._every_frame)), self._source.to_json()]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, json.dumps(sys.path), *arguments],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        self._receiver = threading.Thread(target=self._receive, name="edgeseg-capture", daemon=True)
        self._receiver.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._receiver.join()
        self._channel.close()

    @property
    def pid(self) -> int:
        """Process id of the capture process."""
        return self._process.pid

    def wait_until_open(self, stop: threading.Event) -> Size | None:
        """Return the frame size once the source has given its first frame; None if `stop` was set before.

        Raises:
            SourceError: it cannot be opened, or gives no frame within OPEN_TIMEOUT_S.
        """
        deadline = time.monotonic() + OPEN_TIMEOUT_S
        with self._news:
            while self.size is None:
                if stop.is_set():
                    return None
                if self._error:
                    raise SourceError(self._error)
                if time.monotonic() > deadline:
                    raise SourceError(
                        f"source {self._source.uri}: no first frame within {OPEN_TIMEOUT_S:g} s; check that it delivers"
                    )
                self._news.wait(_POLL_S)
            return self.size

    def start(self) -> None:
        """Let the frames come."""
        self._send(wire.START)

    def next_frame(self, stop: threading.Event, until: float | None = None) -> CapturedFrame | None:
        """Wait for a frame; None when the source has ended, `stop` is set or the monotonic clock reaches `until`.

        Raises:
            SourceError: the source failed, its process died, or no frame came for STALL_TIMEOUT_S.
        """
        patience_s = max(STALL_TIMEOUT_S, _SLOW_PERIODS / self.fps) if self.fps else STALL_TIMEOUT_S
        deadline = time.monotonic() + patience_s
        with self._news:
            while not self._ready:
                if stop.is_set():
                    return None
                if self._error:
                    raise SourceError(self._error)
                if self._ended or (until is not None and time.monotonic() >= until):
                    return None
                if time.monotonic() > deadline:
                    raise SourceError(f"source {self._source.uri}: no frame for {patience_s:g} s; check the source")
                self._news.wait(_POLL_S)
            frame = self._ready.popleft()
            frame.skipped, self._skipped = self._skipped, []
            self._taken += 1
            return frame

    def finish(self) -> tuple[int, list[tuple[int, float]]]:
        """Take no more frames. Return how many were captured, and (id, captured_at) of those that nobody was given.

        With `every_frame`, frames that were only read ahead do not count.
        """
        with self._news:
            self._is_finished = True
            if self._every_frame:
                return self._taken, []
            left = self._skipped + [(frame.id, frame.captured_at) for frame in self._ready]
            return self._captured, left

    def release(self, frame: CapturedFrame) -> None:
        """Give the frame's slot back; `frame.picture` must not be read any more."""
        self._send(wire.pack_free(frame.generation, frame.slot))

    def _send(self, message: bytes) -> None:
        try:
            self._channel.send(message)
        except OSError:  # the capture process is gone, which the receiver reports
            return

    def _receive(self) -> None:
        """Run in a thread: sort what the capture process says, and free frames that a newer one has overtaken."""
        while True:
            try:
                data, descriptors, _, _ = socket.recv_fds(self._channel, wire.MESSAGE_BYTES, 1)
            except ConnectionResetError:  # it ended with messages of ours unread; what it said can still be read
                continue
            with self._news:
                self._handle(data, descriptors)
                self._news.notify_all()
                if self._ended:
                    return

    def _handle(self, data: bytes, descriptors: list[int]) -> None:
        kind = data[:1]
        if kind == wire.FRAME:
            self._add(wire.unpack_frame(data))
        elif kind == wire.FORMAT:
            self._add_ring(json.loads(data[1:]), descriptors[0])
        elif kind == wire.ERROR:
            self._error, self._ended = data[1:].decode(errors="replace"), True
        elif kind == wire.END:
            self._ended = True
        else:
            self._error, self._ended = f"source {self._source.uri}: {self._epitaph()}", True

    def _add(self, message: wire.FrameMessage) -> None:
        if self._is_finished:
            return
        assert self._ring is not None
        self._captured += 1
        picture = self._ring.frames[message.slot]
        picture.flags.writeable = False
        frame = CapturedFrame(
            message.id, message.captured_at, message.captured_monotonic, picture, message.generation, message.slot
        )
        while self._ready and not self._every_frame:
            overtaken = self._ready.popleft()
            self._skipped.append((overtaken.id, overtaken.captured_at))
            self.release(overtaken)
        self._ready.append(frame)

    def _add_ring(self, opened: dict[str, float], fd: int) -> None:
        size = Size(int(opened["height"]), int(opened["width"]))
        self._ring = Ring(fd, size)
        os.close(fd)
        self.size, self.fps = size, float(opened["fps"])

    def _epitaph(self) -> str:
        code = self._process.wait()
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return f"its capture process {how} without a word; start again, and look for lack of memory if it recurs"
