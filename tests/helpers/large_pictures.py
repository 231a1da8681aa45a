"""Small files that stand for large pictures."""

from __future__ import annotations

import struct
import zlib

from edgeseg.core.geometry import Size


def png_of(size: Size) -> bytes:
    """Return a whole, black PNG of one bit a pixel: 30000x30000 are 0.5 MB."""
    row = bytes(1 + (size.width + 7) // 8)
    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(row) for _ in range(size.height)) + packer.flush()
    head = struct.pack(">IIBBBBB", *reversed(size), 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
