"""The capture process: opens a source and hands its frames over through shared memory.

It is a process of its own because a camera read can hang for ever, and a hung thread cannot be killed.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import sys
import time
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from edgeseg.errors import EdgesegError
from edgeseg.geometry import Size
from edgeseg.runtime import wire
from edgeseg.runtime.readers import Reader, open_reader
from edgeseg.runtime.ring import SLOTS, Ring, create_memory
from edgeseg.runtime.sources import Source

_PR_SET_PDEATHSIG = 1


class Publisher:
    """Writes frames into free slots and tells the parent."""

    def __init__(self, channel: socket.socket, fps: float) -> None:
        self._channel = channel
        self._fps = fps
        self._ring: Ring | None = None
        self._generation = -1
        self._free: list[int] = []
        self._next_id = 0

    def buffer(self) -> NDArray[np.uint8] | None:
        """A free slot to read into, waited for; None before the first frame."""
        if self._ring is None:
            return None
        while not self._free:
            self._receive()
        slot: NDArray[np.uint8] = self._ring.frames[self._free[-1]]
        return slot

    def offer(self, frame: NDArray[np.uint8]) -> None:
        """Announce the frame's size, if it is new, with a ring for it, once the ring before is free again."""
        size = Size(*frame.shape[:2])
        if self._ring is not None:
            if self._ring.size == size:
                return
            while len(self._free) < SLOTS:  # else pictures of mixed sizes would pile up, a ring each
                self._receive()
        fd = create_memory(size)
        self._ring = Ring(fd, size)
        self._generation = (self._generation + 1) % 256
        self._free = list(range(SLOTS))
        text = json.dumps({"height": size.height, "width": size.width, "fps": self._fps})
        socket.send_fds(self._channel, [wire.FORMAT + text.encode()], [fd])
        os.close(fd)

    def publish(self, frame: NDArray[np.uint8], captured_at: float, captured_monotonic: float) -> None:
        """Hand over a frame; copies it unless it was read into `buffer()`."""
        self.offer(frame)
        target = self.buffer()
        assert target is not None
        if not np.may_share_memory(target, frame):
            np.copyto(target, frame)
        message = wire.FrameMessage(self._generation, self._free.pop(), self._next_id, captured_at, captured_monotonic)
        self._next_id += 1
        self._channel.send(wire.pack_frame(message))

    def wait_for_start(self) -> None:
        while self._receive() != wire.START:
            pass

    def _receive(self) -> bytes:
        data = self._channel.recv(wire.MESSAGE_BYTES)
        if not data:  # the parent is gone
            sys.exit(0)
        kind = data[:1]
        if kind == wire.FREE:
            generation, slot = wire.unpack_free(data)
            if generation == self._generation:
                self._free.append(slot)
        return kind


def stream(reader: Reader, publisher: Publisher, every_frame: bool, loop: bool) -> None:
    """Publish frames until the source ends, at its own rate unless every frame is wanted."""
    first = reader.read(None)
    if first is None:
        raise EdgesegError("it holds no frame that can be decoded; expected at least one")
    publisher.offer(first)
    publisher.wait_for_start()
    start = time.monotonic()
    index = 0
    frame: NDArray[np.uint8] | None = first
    while frame is not None:
        if not every_frame:
            time.sleep(max(0.0, start + index / reader.fps - time.monotonic()))
        publisher.publish(frame, time.time(), time.monotonic())
        index += 1
        frame = reader.read(publisher.buffer())
        if frame is None and loop:
            reader.rewind()
            frame = reader.read(publisher.buffer())
            if frame is None:
                raise EdgesegError("it has no frame any more; expected to begin again")


def _die_with_parent(parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        sys.exit(0)


def main() -> NoReturn:
    """Run with the arguments: socket descriptor, parent's process id, 0 or 1 for every frame, the source as JSON."""
    fd, parent, every_frame, source_json = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGTERM):  # both can reach the whole group; the parent decides when to end
        signal.signal(number, signal.SIG_IGN)
    _die_with_parent(int(parent))
    channel = socket.socket(fileno=int(fd))
    source = Source.from_json(source_json)
    try:
        reader = open_reader(source)
        stream(reader, Publisher(channel, reader.fps), every_frame == "1", source.loop)
        reader.close()
        channel.send(wire.END)
    except BrokenPipeError:  # the parent has closed: nobody is left to tell
        sys.exit(0)
    except Exception as error:
        text = str(error) if isinstance(error, EdgesegError) else f"capture failed: {type(error).__name__}: {error}"
        prefix = "" if source.uri in text else f"source {source.uri}: "
        channel.send(wire.ERROR + (prefix + text).encode()[: wire.MESSAGE_BYTES - 1])
        sys.exit(3)
    sys.exit(0)
