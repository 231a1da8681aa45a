"""The messages between the capture process and its parent, over a Unix socket that keeps message borders."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from edgeseg.runtime.health import PICTURE_REASONS

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

REASONS = (None, *PICTURE_REASONS)
CLOCKS = ("arrival", "stream", "sensor")

_FRAME = struct.Struct("<cBBBBdd")
_FREE = struct.Struct("<cBB")


class FrameMessage(NamedTuple):
    """A frame in a slot.

    Attributes:
        generation: which ring, modulo 256; a change of resolution brings a new one.
        slot: index into the ring.
        reason: index into REASONS, why the picture shows nothing of now.
        clock: index into CLOCKS, who stamped the times.
        captured_at: Unix seconds.
        captured_monotonic: seconds of CLOCK_MONOTONIC, which all processes of a machine share.
    """

    generation: int
    slot: int
    reason: int
    clock: int
    captured_at: float
    captured_monotonic: float


def pack_frame(message: FrameMessage) -> bytes:
    return _FRAME.pack(FRAME, *message)


def unpack_frame(data: bytes) -> FrameMessage:
    return FrameMessage(*_FRAME.unpack(data)[1:])


def pack_free(generation: int, slot: int) -> bytes:
    return _FREE.pack(FREE, generation, slot)


def unpack_free(data: bytes) -> tuple[int, int]:
    _, generation, slot = _FREE.unpack(data)
    return generation, slot


def socket_pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
