"""The message that the Unix socket sink sends for each mask: a header, the class map, and to who asks the confidence.

Version 1 is a header of 64 bytes and the class map. Version 2 has 8 bytes more in its header, `confidence_bytes`
(uint32, 0 where the graph gives none) and a uint32 of 0, and that many bytes behind the class map. Who connects and
sends `ask(2)` gets version 2 from then on, whoever sends nothing version 1 for ever.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeseg.runtime.records import FrameRecord
from edgeseg.runtime.states import CLOCKS, Status

MAGIC = b"ESEG"
NEWEST = 2
STATUSES = (Status.OK, Status.STALE)
_HEADER = struct.Struct("<4sHHIHHQddBBBBf16s")
HEADER_BYTES = _HEADER.size
_REASON_BYTES = 16
_PARTS = struct.Struct("<II")
_ASK = struct.Struct("<4sH")
ASK_BYTES = _ASK.size


class MaskHeader(NamedTuple):
    """What stands before a class map; all numbers little-endian, in this order after the magic `ESEG`.

    A later version may make the header longer, never change what is here: read `header_bytes`, then `payload_bytes`.

    Attributes:
        version: uint16, 1 or 2.
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


class MaskMessage:
    """One mask's messages, each packed when the first reader takes its version.

    Args:
        header: of version 1.
        class_map: (h, w).
        confidence: (h, w), or None.
    """

    def __init__(
        self, header: MaskHeader, class_map: NDArray[np.uint8], confidence: NDArray[np.uint8] | None = None
    ) -> None:
        self._header, self._class_map, self._confidence = header, class_map, confidence
        self._packed: dict[int, bytes] = {}

    def of(self, version: int) -> bytes:
        """Return the bytes of a version, 1 to NEWEST."""
        if version not in self._packed:
            self._packed[version] = self._pack(version)
        return self._packed[version]

    def _pack(self, version: int) -> bytes:
        if version == 1:
            return self._header.pack() + self._class_map.tobytes()
        header = self._header._replace(version=2, header_bytes=HEADER_BYTES + _PARTS.size)
        confidence = b"" if self._confidence is None else self._confidence.tobytes()
        return b"".join([header.pack(), _PARTS.pack(len(confidence), 0), self._class_map.tobytes(), confidence])


def ask(version: int) -> bytes:
    """Return what a reader sends to get messages up to a version."""
    return _ASK.pack(MAGIC, version)


def version_asked(said: bytes) -> int:
    """Return the version for a reader that has said this: 1 unless it is `ask`."""
    if len(said) < ASK_BYTES:
        return 1
    magic, version = _ASK.unpack_from(said)
    return max(1, min(version, NEWEST)) if magic == MAGIC else 1


def header_of(
    record: FrameRecord, captured_monotonic: float, shape: tuple[int, ...], classes: int, ignore_index: int
) -> MaskHeader:
    """Return the header of a (height, width) class map, of version 1."""
    height, width = shape
    return MaskHeader(
        version=1,
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
