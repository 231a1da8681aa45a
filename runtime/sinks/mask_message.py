"""The message that the Unix socket sink sends for each mask: a header of 64 bytes, then the class map."""

from __future__ import annotations

import struct
from typing import NamedTuple

from edgeseg.runtime.records import FrameRecord
from edgeseg.runtime.states import CLOCKS, Status

MAGIC = b"ESEG"
VERSION = 1
STATUSES = (Status.OK, Status.STALE)
_HEADER = struct.Struct("<4sHHIHHQddBBBBf16s")
HEADER_BYTES = _HEADER.size
_REASON_BYTES = 16


class MaskHeader(NamedTuple):
    """What stands before a class map; all numbers little-endian, in this order after the magic `ESEG`.

    A later version may make the header longer, never change what is here: read `header_bytes`, then `payload_bytes`.

    Attributes:
        version: uint16, 1.
        header_bytes: uint16, where the payload begins, counted from the magic.
        payload_bytes: uint32, height times width: one uint8 class id a pixel, row by row from the top left.
        width, height: uint16 each.
        frame: uint64, the frame's id; a gap means masks that this reader did not get.
        captured_at: float64, Unix seconds.
        captured_monotonic: float64, seconds of CLOCK_MONOTONIC on this machine: now minus this is the mask's age.
        status: uint8, 0 ok, 1 stale: too old or not of now, never to be used as good.
        clock: uint8, 0 captured_at is the frame's arrival, 1 the sensor's own time, 2 the stream's presentation time.
        classes: uint8, number of classes; ids are below it, or `ignore_index`.
        ignore_index: uint8.
        latency_ms: float32, from capture to mask.
        reason: 16 bytes of ASCII, padded with zeros: why it is not ok.
    """

    version: int
    header_bytes: int
    payload_bytes: int
    width: int
    height: int
    frame: int
    captured_at: float
    captured_monotonic: float
    status: int
    clock: int
    classes: int
    ignore_index: int
    latency_ms: float
    reason: bytes

    def pack(self) -> bytes:
        return _HEADER.pack(MAGIC, *self)


def header_of(
    record: FrameRecord, captured_monotonic: float, shape: tuple[int, ...], classes: int, ignore_index: int
) -> MaskHeader:
    """Return the header of a (height, width) class map."""
    height, width = shape
    return MaskHeader(
        version=VERSION,
        header_bytes=HEADER_BYTES,
        payload_bytes=height * width,
        width=width,
        height=height,
        frame=record.frame,
        captured_at=record.captured_at,
        captured_monotonic=captured_monotonic,
        status=STATUSES.index(record.status),
        clock=CLOCKS.index(record.clock),
        classes=classes,
        ignore_index=ignore_index,
        latency_ms=record.ms.get("capture_to_mask", 0.0),
        reason=(record.reason or "").encode("ascii", "replace")[:_REASON_BYTES],
    )
