"""Which picture files changed the pixels they were given: told by content, never by suffix."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

TIFF_COMPRESSION = 259
LOSSY_TIFF = {6: "JPEG", 7: "JPEG", 33003: "JPEG 2000", 33005: "JPEG 2000", 34712: "JPEG 2000", 34892: "JPEG"}
COD = b"\xff\x52"  # JPEG 2000's marker of how it was coded; 9 bytes behind its length stands the wavelet
REVERSIBLE = 1


def lossy_kind(encoded: bytes, opened: Any) -> str:
    """Return what changed the pixels of a picture file: `JPEG`, `lossy WebP` ...; an empty text if nothing did.

    A WebP file is lossy if it has a `VP8 ` chunk, lossless with `VP8L` (RFC 9649); a TIFF by its tag 259; JPEG 2000 by
    its wavelet (ISO 15444-1 A.6.1); AVIF always, as hardly any encoder writes it without loss.

    Args:
        encoded: the whole file.
        opened: the same, opened by Pillow.
    """
    kind = opened.format
    if encoded[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if kind == "WEBP":
        return "lossy WebP" if b"VP8 " in _webp_chunks(encoded, 12) else ""
    if kind == "TIFF":
        inside = LOSSY_TIFF.get(opened.tag_v2.get(TIFF_COMPRESSION))
        return f"TIFF with {inside} inside" if inside else ""
    if kind == "JPEG2000":
        at = encoded.find(COD)
        return "" if encoded[at + 13 : at + 14] == bytes([REVERSIBLE]) else "JPEG 2000"
    return "AVIF" if kind == "AVIF" else ""


def _webp_chunks(encoded: bytes, at: int) -> Iterator[bytes]:
    """Yield the names of the chunks from `at` on, those within the frames of an animation too."""
    while at + 8 <= len(encoded):
        name, size = struct.unpack_from("<4sI", encoded, at)
        yield name
        at += 8 + (16 if name == b"ANMF" else size + size % 2)
