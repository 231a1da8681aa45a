"""The capture process: opens a source and hands its frames over through shared memory.

It is a process of its own because a camera read can hang for ever, and a hung thread cannot be killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import socket
import sys
import time
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import EdgesegError, SourceError, one_line
from edgeseg.core.geometry import Size
from edgeseg.runtime.capture import wire
from edgeseg.runtime.capture.backlog import PAUSE_S, Backlog, Heartbeat
from edgeseg.runtime.capture.resume import pass_over
from edgeseg.runtime.capture.watches import Watches
from edgeseg.runtime.capture.wire import SLOTS, Ring, create_memory
from edgeseg.runtime.machine.child import begin_child
from edgeseg.runtime.sources.clocks import FileClock, Stamp
from edgeseg.runtime.sources.open import open_reader
from edgeseg.runtime.sources.picture_limit import check_pixels
from edgeseg.runtime.sources.reader import DamagedFrameError, HopelessSourceError, Reader
from edgeseg.runtime.sources.source import Source
from edgeseg.runtime.states import CLOCKS

_M_MMAP_THRESHOLD = -3  # malloc.h
_LARGE_BLOCK_BYTES = 256 * 1024


def _message(kind: bytes, text: str) -> bytes:
    """Return a message with a text, which may hold what a camera said, or a name that is not UTF-8."""
    return kind + one_line(text).encode()[: wire.MESSAGE_BYTES - 1]


class Publisher:
    """Writes frames into free slots and tells the parent."""

    def __init__(self, channel: socket.socket, fps: float, every_frame: bool, watches: Watches) -> None:
        self._channel = channel
        self._fps = fps
        self._every_frame = every_frame
        self._watches = watches
        self._ring: Ring | None = None
        self._generation = -1
        self._free: list[int] = []
        self.is_started = False

    def buffer(self) -> NDArray[np.uint8] | None:
        """A free slot to read into, waited for; None before the first frame."""
        if self._ring is None:
            return None
        while not self._free:
            self._receive()
        slot: NDArray[np.uint8] = self._ring.frames[self._free[-1]]
        return slot

    def offer(self, frame: NDArray[np.uint8]) -> None:
        """Announce the frame's size, if it is new, with a ring for it."""
        size = Size(*frame.shape[:2])
        if self._ring is not None and self._ring.size == size:
            return
        check_pixels("it sends", *size)  # a video may state another size than its pictures have
        if self._ring is not None:
            while self._every_frame and len(self._free) < SLOTS:  # else pictures of mixed sizes pile up, a ring each
                self._receive()
        try:
            fd = create_memory(size)
            self._ring = Ring(fd, size)
        except (OSError, ValueError) as error:
            raise SourceError(
                f"no shared memory for frames of {size} ({error}); free memory, or raise its limit"
            ) from error
        self._generation = (self._generation + 1) % 256
        self._free = list(range(SLOTS))
        text = json.dumps({"height": size.height, "width": size.width, "fps": self._fps})
        socket.send_fds(self._channel, [wire.FORMAT + text.encode()], [fd])
        os.close(fd)

    def publish(self, frame: NDArray[np.uint8], stamp: Stamp, reader: Reader) -> None:
        """Hand over a frame that `reader` gave; copies it unless it was read into `buffer()`."""
        seen = self._watches.look(frame, stamp.monotonic, reader)
        self.offer(frame)
        target = self.buffer()
        assert target is not None
        if not np.may_share_memory(target, frame):
            np.copyto(target, frame)
        captured_at = time.time() - (time.monotonic() - stamp.monotonic)
        message = wire.FrameMessage(
            self._generation,
            self._free.pop(),
            wire.bits_of(seen),
            CLOCKS.index(stamp.clock),
            captured_at,
            stamp.monotonic,
        )
        self._channel.send(wire.pack_frame(message))
        os.sched_yield()  # the kernel wakes the parent on this processor: it would wait for the next frame's decoding

    @property
    def has_format(self) -> bool:
        """Whether there was a frame."""
        return self._ring is not None

    def begin_again(self) -> None:
        """Take note that the next frame follows none of those before."""
        self._watches.begin_again()

    def tell(self, kind: bytes, text: str = "") -> None:
        """Send a message other than a frame."""
        self._channel.send(_message(kind, text))

    def wait_for_start(self) -> None:
        while not self.is_started:
            self._receive()

    def look_for_messages(self) -> None:
        """Take what the parent has said, without waiting."""
        while select.select([self._channel], [], [], 0)[0]:
            self._receive()

    def _receive(self) -> None:
        data = self._channel.recv(wire.MESSAGE_BYTES)
        if not data:  # the parent is gone
            sys.exit(0)
        if data[:1] == wire.START:
            self.is_started = True
        elif data[:1] == wire.FREE:
            generation, slot = wire.unpack_free(data)
            if generation == self._generation:
                self._free.append(slot)


def stream_file(reader: Reader, publisher: Publisher, every_frame: bool, loop: bool, is_resumed: bool = False) -> None:
    """Publish frames until the source ends, at their own times unless every frame is wanted."""
    first = _sound_frame(reader, publisher)
    if first is None and is_resumed:  # the process before died behind the last frame
        if not loop:
            return
        reader.rewind()
        first = _sound_frame(reader, publisher)
    if first is None:
        raise EdgesegError("it holds no frame that can be decoded; expected at least one")
    publisher.offer(first)
    publisher.wait_for_start()
    start, clock = time.monotonic(), FileClock(reader.fps)
    frame: NDArray[np.uint8] | None = first
    while frame is not None:
        if not every_frame:
            time.sleep(max(0.0, start + clock.due(reader.position_s) - time.monotonic()))
        publisher.publish(frame, Stamp(time.monotonic()), reader)
        frame = _sound_frame(reader, publisher)
        if frame is None and loop:
            reader.rewind()
            publisher.begin_again()
            frame = _sound_frame(reader, publisher)
            if frame is None:
                raise EdgesegError("it has no frame any more; expected to begin again")


def _sound_frame(reader: Reader, publisher: Publisher) -> NDArray[np.uint8] | None:
    """Return the next frame that can be decoded, None at the end; where there is none at all, raise what is wrong."""
    error = None
    while True:
        try:
            frame = reader.read(publisher.buffer())
        except DamagedFrameError as damage:
            error = damage
            publisher.tell(wire.DAMAGED)
            continue
        if frame is None and error and not publisher.has_format:
            raise error
        return frame


def stream_camera(reader: Reader, publisher: Publisher) -> None:
    """Publish what a camera gives, until it gives no more. Before the start its frames are read and let go.

    Were they left in the camera's buffers, the first ones after the start would be as old as the engine took to load.
    """
    first = True
    backlog = Backlog(Heartbeat())
    while True:
        asked = time.monotonic()
        slot = publisher.buffer()
        if time.monotonic() - asked > PAUSE_S:
            backlog.note_pause(asked)
        try:
            frame = reader.read(slot)
        except DamagedFrameError:
            publisher.tell(wire.DAMAGED)
            continue
        if frame is None:
            return
        stamp = backlog.dated(reader.stamp or Stamp(time.monotonic()))
        if first:
            publisher.offer(frame)
            first = False
        publisher.look_for_messages()
        if publisher.is_started:
            publisher.publish(frame, stamp, reader)


def _use_batch_scheduling() -> None:
    """Decode when a processor is free or its turn has come, but never cut into the loop's time in the engine.

    The share of a busy machine stays the same (sched(7), SCHED_BATCH): only its waking interrupts nobody.
    """
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _keep_no_large_blocks() -> None:
    """Let what is freed go back to the system at once.

    A file that is opened again and again would else hold 10 to 25 MB more or less each time: the C library raises by
    itself the size from which on a block is a mapping of its own.
    """
    change = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's alone
    if change is not None:
        change(_M_MMAP_THRESHOLD, _LARGE_BLOCK_BYTES)


def _serve(channel: socket.socket, request: dict[str, Any]) -> None:
    source = Source.from_dict(request["source"])
    if source.loop:
        _keep_no_large_blocks()
    try:
        channel.send(wire.OPENING)
        reader = open_reader(source, lambda: channel.send(wire.OPENING))
        watches = Watches(request["frozen_s"], request["plausibility"] and reader.follows)
        publisher = Publisher(channel, reader.fps, request["every_frame"], watches)
        for text in reader.remarks():
            publisher.tell(wire.WARNING, f"source {source.uri}: {text}")
        if source.is_camera:
            stream_camera(reader, publisher)
        else:
            reached = request.get("reached", 0)
            pass_over(reader, reached, source.loop, lambda: channel.send(wire.OPENING))
            stream_file(reader, publisher, request["every_frame"], source.loop, reached > 0)
        for text in reader.remarks():
            publisher.tell(wire.WARNING, f"source {source.uri}: {text}")
        reader.close()
        channel.send(wire.END)
    except (BrokenPipeError, ConnectionResetError):  # the parent has closed or gone: nobody is left to tell
        sys.exit(0)
    except Exception as error:
        text = str(error) if isinstance(error, EdgesegError) else f"capture failed: {type(error).__name__}: {error}"
        text = source.without_secrets(text if source.uri in text else f"source {source.uri}: {text}")
        kind = wire.HOPELESS if isinstance(error, HopelessSourceError) else wire.ERROR
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            channel.send(_message(kind, text))
        sys.exit(3)


def main() -> NoReturn:
    """Run with the arguments: socket descriptor, parent's process id. What to open comes over the socket.

    Not as an argument, which every user of the machine could read, with the camera's password.
    """
    fd, parent = sys.argv[1:]
    begin_child(int(parent))
    _use_batch_scheduling()
    channel = socket.socket(fileno=int(fd))
    opening = channel.recv(wire.OPEN_BYTES)
    if opening[:1] == wire.OPEN:  # else the parent has gone
        _serve(channel, json.loads(opening[1:]))  # of a process of ours
    sys.exit(0)
