"""One life of the capture process: started, fed, listened to, killed."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType

from edgeseg.core.geometry import Size
from edgeseg.runtime.capture import wire
from edgeseg.runtime.capture.wire import SLOTS, Ring
from edgeseg.runtime.machine.child import start_child
from edgeseg.runtime.sources.picture_limit import limit_of


class CaptureProcess:
    """A context manager; the process never outlives it, nor its parent.

    It imports what it needs and then waits for `open`, so that one can stand by while a camera is away.
    Enter it on a thread that lives as long: the kernel ends the child with the thread that started it.

    Attributes:
        ring: its frames; None before it has announced their size.
        opened_at, first_frame_at: seconds of the monotonic clock; None before.
        is_opening: whether it has begun to open the source.
        heard_at: when it last gave a frame, or got what it needs to give the next one.
        damaged: pictures that it could not decode since its last frame.
    """

    def __init__(self, max_pixels: int) -> None:
        """`max_pixels`: of the largest picture that it decodes."""
        self._max_pixels = max_pixels

    def __enter__(self) -> CaptureProcess:
        self.ring: Ring | None = None
        self.opened_at: float | None = None
        self.first_frame_at: float | None = None
        self.heard_at = time.monotonic()
        self.is_opening = False
        self.damaged = 0
        self._held = 0
        self._counting = threading.Lock()
        self._channel, theirs = wire.socket_pair()
        self._poll = select.poll()
        self._poll.register(self._channel, select.POLLIN)
        try:
            self._process = start_child(
                "edgeseg.runtime.capture.worker",
                str(theirs.fileno()),
                str(os.getpid()),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                variables=limit_of(self._max_pixels),
            )
            _prefer_as_oom_victim(self._process.pid)
        except OSError:
            self._channel.close()
            raise
        finally:
            theirs.close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._channel.close()
        self.ring = None  # frames that are still read keep the memory

    @property
    def pid(self) -> int:
        return self._process.pid

    def open(self, request: str, is_started: bool) -> None:
        """Let it open the source that `request`, JSON, describes."""
        self.opened_at = self.heard_at = time.monotonic()
        self._send(wire.OPEN + request.encode())
        if is_started:
            self.start()

    def start(self) -> None:
        """Let it hand frames over."""
        self.heard_at = time.monotonic()
        self._send(wire.START)

    def begin_opening(self) -> None:
        """Note that it has begun, or is still at it: what loading the libraries took is not the camera's time."""
        self.is_opening, self.heard_at = True, time.monotonic()

    def hold(self) -> None:
        """Count a frame that came."""
        with self._counting:
            self._held += 1
            self.damaged = 0
            self.heard_at = time.monotonic()
            self.first_frame_at = self.first_frame_at or self.heard_at

    def release(self, generation: int, slot: int) -> None:
        """Give a frame's slot back."""
        with self._counting:
            self._held -= 1
            self.heard_at = time.monotonic()
        self._send(wire.pack_free(generation, slot))

    def is_silent_for(self, seconds: float) -> bool:
        """Whether it has owed a frame for so long; while all slots are held it owes none."""
        with self._counting:
            return self._held < SLOTS and time.monotonic() - self.heard_at > seconds

    def add_ring(self, size: Size, fd: int) -> None:
        """Map the memory behind `fd` for the frames to come. Raises OSError."""
        try:
            self.ring = Ring(fd, size)
        finally:
            os.close(fd)

    def _send(self, message: bytes) -> None:
        try:
            self._channel.send(message, socket.MSG_DONTWAIT)
        except OSError:  # it is gone, which `receive` reports, or reads nothing any more, which ends as a stall
            return

    def receive(self, timeout_s: float) -> tuple[bytes, list[int]] | None:
        """Return its next message with descriptors, empty when it is gone; None if none came in time."""
        while self._poll.poll(timeout_s * 1e3):
            try:
                data, descriptors, _, _ = socket.recv_fds(self._channel, wire.MESSAGE_BYTES, 1)
            except ConnectionResetError:  # it ended with messages of ours unread; what it said can still be read
                continue
            return data, descriptors
        return None

    def describe_exit(self, where: str = "") -> str:
        """Wait for its end and say how it came, and in `where` at which place of the source."""
        code = self._process.wait()
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return f"its capture process {how} without a word{where}; look for lack of memory if it recurs"


def _prefer_as_oom_victim(pid: int) -> None:
    """Where memory runs out, the kernel shall end that process, which is started again, and not this one.

    The highest score: a lower one only adds a share of the limit to what is held, and this process may hold more.
    """
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000")
