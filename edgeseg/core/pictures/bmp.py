"""Whether the pixels of a BMP file are all there. It has no checksums."""

from __future__ import annotations

import struct

from edgeseg.core.pictures.error import DamagedPictureError

SIGNATURE = b"BM"
_INFO_HEADER = 40  # bytes, BITMAPINFOHEADER and what came after it
_UNCOMPRESSED = (0, 3)  # BI_RGB, BI_BITFIELDS


def check(content: bytes) -> None:
    """Raise DamagedPictureError where rows of pixels are missing."""
    start, header = struct.unpack_from("<II", content, 10)
    if header < _INFO_HEADER:
        return  # OS/2's
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", content, 18)
    end = start + (width * bits + 31) // 32 * 4 * abs(height)
    if compression in _UNCOMPRESSED and end > len(content):
        raise DamagedPictureError(f"cut short: {len(content)} bytes of {end}")
