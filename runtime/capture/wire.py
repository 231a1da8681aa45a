"""The messages between the capture process and its parent, and the shared memory in which the frames lie."""

from __future__ import annotations

import mmap
import os
import socket
import struct
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Size
from edgeseg.runtime.states import PICTURE_REASONS, Reason

SLOTS = 6
"""One being written, one ready, one in the engine, two at the outputs, one to spare: the newest always finds room."""

MESSAGE_BYTES = 4096
OPEN_BYTES = 65536  # of the first message: a GStreamer pipeline may be long

OPEN = b"O"  # parent -> capture: JSON of what to open
START = b"G"  # parent -> capture: hand frames over
FREE = b"R"  # parent -> capture: a slot may be written again
OPENING = b"B"  # capture -> parent: the libraries are loaded, it begins to open the source, or is still at it
FORMAT = b"S"  # capture -> parent: JSON {height, width, fps}, with the ring's descriptor
FRAME = b"F"  # capture -> parent: one frame lies in a slot
DAMAGED = b"D"  # capture -> parent: a frame came that could not be decoded
WARNING = b"W"  # capture -> parent: UTF-8 text that the user should read
END = b"E"  # capture -> parent: the source ended
ERROR = b"X"  # capture -> parent: UTF-8 text of what went wrong
HOPELESS = b"U"  # capture -> parent: the same, where trying again cannot help

_FRAME = struct.Struct("<cBBBBdd")
_FREE = struct.Struct("<cBB")


class FrameMessage(NamedTuple):
    """A frame in a slot.

    Attributes:
        generation: which ring, modulo 256; a change of resolution brings a new one.
        slot: index into the ring.
        seen: what the watches saw, a bit for each of PICTURE_REASONS.
        clock: index into states.CLOCKS, who stamped the times.
        captured_at: Unix seconds.
        captured_monotonic: seconds of CLOCK_MONOTONIC, which all processes of a machine share.
    """

    generation: int
    slot: int
    seen: int
    clock: int
    captured_at: float
    captured_monotonic: float


def pack_frame(message: FrameMessage) -> bytes:
    return _FRAME.pack(FRAME, *message)


def unpack_frame(data: bytes) -> FrameMessage:
    return FrameMessage(*_FRAME.unpack(data)[1:])


def bits_of(seen: Collection[Reason]) -> int:
    return sum(1 << index for index, reason in enumerate(PICTURE_REASONS) if reason in seen)


def reasons_of(bits: int) -> tuple[Reason, ...]:
    return tuple(reason for index, reason in enumerate(PICTURE_REASONS) if bits & 1 << index)


def pack_free(generation: int, slot: int) -> bytes:
    return _FREE.pack(FREE, generation, slot)


def unpack_free(data: bytes) -> tuple[int, int]:
    _, generation, slot = _FREE.unpack(data)
    return generation, slot


def socket_pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class Ring:
    """`SLOTS` frames of one size over a memory file descriptor.

    Unnamed memory (memfd) vanishes with the last process that maps it, even after SIGKILL; a named segment would stay.
    """

    def __init__(self, fd: int, size: Size) -> None:
        """Map the memory behind `fd` as frames of `size`; the descriptor may be closed afterwards."""
        self.size = size
        shape = (SLOTS, size.height, size.width, 3)
        self.frames: NDArray[np.uint8] = np.frombuffer(mmap.mmap(fd, _bytes(size)), np.uint8).reshape(shape)


def create_memory(size: Size) -> int:
    """Return a new memory file descriptor that holds a ring of frames of `size`."""
    fd = os.memfd_create("edgeseg-frames", os.MFD_CLOEXEC)
    os.ftruncate(fd, _bytes(size))
    return fd


def _bytes(size: Size) -> int:
    return SLOTS * size.height * size.width * 3
