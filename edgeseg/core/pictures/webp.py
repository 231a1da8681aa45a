"""The chunks of a WebP file (RFC 9649). It has no checksums: bytes that were overwritten are not seen here."""

from __future__ import annotations

import struct

from edgeseg.core.pictures.error import DamagedPictureError

SIGNATURE = b"RIFF"
_HEAD = 12  # RIFF, length, WEBP
_CHUNK_HEAD = 8
_KEY_FRAME_START = b"\x9d\x01\x2a"  # RFC 6386, 9.1
_LOSSLESS_SIGNATURE = 0x2F


def check(content: bytes) -> None:
    """Raise DamagedPictureError where the file is cut short or a chunk does not fit; other RIFF files pass."""
    length, kind = struct.unpack_from("<I4s", content, 4)
    if kind != b"WEBP":
        return
    end = length + _CHUNK_HEAD
    if end > len(content):
        raise DamagedPictureError(f"cut short: {len(content)} bytes of {end}")
    has_data, at = False, _HEAD
    while at + _CHUNK_HEAD <= end:
        name, size = struct.unpack_from("<4sI", content, at)
        data = at + _CHUNK_HEAD
        if data + size > end:
            raise DamagedPictureError(f"chunk {name.decode('latin-1')!r} at byte {at} ends behind the file's end")
        if name == b"VP8 ":
            _check_lossy(content[data : data + size])
        elif name == b"VP8L" and content[data] != _LOSSLESS_SIGNATURE:
            raise DamagedPictureError("its lossless picture does not begin as one")
        has_data |= name in (b"VP8 ", b"VP8L", b"ANMF")
        at = data + size + size % 2
    if not has_data:
        raise DamagedPictureError("it has no picture data")


def _check_lossy(data: bytes) -> None:
    """Check the frame header and the lengths of the first and the other partitions (RFC 6386, 9.1 and 9.5)."""
    head = int.from_bytes(data[:3], "little")
    first = head >> 5
    if head & 1 or data[3:6] != _KEY_FRAME_START:
        raise DamagedPictureError("its picture does not begin as a key frame")
    if 10 + first > len(data):
        raise DamagedPictureError("its first partition ends behind its chunk's end")
