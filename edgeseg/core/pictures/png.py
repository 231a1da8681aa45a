"""The chunks of a PNG file (ISO/IEC 15948), each with its CRC."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from edgeseg.core.pictures.error import DamagedPictureError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_AROUND = 12  # bytes of a chunk beside its data: length, type, CRC


def check(content: bytes) -> None:
    """Raise DamagedPictureError where the file is cut short or a chunk does not match its CRC.

    What follows the end chunk is accepted.
    """
    has_data = False
    for kind, start, length in chunks(content):
        end = start + 8 + length
        name = kind.decode("latin-1")
        if not kind.isalpha():
            raise DamagedPictureError(f"no chunk at byte {start}, where one has to be")
        if end + 4 > len(content):
            raise DamagedPictureError(f"cut short in chunk {name}: {len(content)} bytes of {end + 4} or more")
        if zlib.crc32(memoryview(content)[start + 4 : end]) != struct.unpack_from(">I", content, end)[0]:
            raise DamagedPictureError(f"chunk {name} at byte {start} does not match its CRC")
        has_data |= kind == b"IDAT"
        if kind == b"IEND":
            if not has_data:
                raise DamagedPictureError("it has no picture data")
            return
    raise DamagedPictureError("cut short: it has no end chunk")


def chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, position and length of the data of each chunk, as far as its head is there."""
    at = len(SIGNATURE)
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        yield kind, at, length
        at += length + _AROUND
