"""The chunks of a WebP file (RFC 9649), and whether its pixels end where its data do. It has no checksums."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.pictures.error import DamagedPictureError

SIGNATURE = b"RIFF"
_HEAD = 12  # RIFF, length, WEBP
_CHUNK_HEAD = 8
_KEY_FRAME_START = b"\x9d\x01\x2a"  # RFC 6386, 9.1
_LOSSLESS_SIGNATURE = 0x2F
_TAIL = 32  # bytes; encoders fill up to 3 at the end
_SMALLEST = 4 * _TAIL  # bytes of a picture of which the tail is a part
_NOISE = hashlib.shake_128(b"other last bytes").digest(3 * _TAIL)


def check(content: bytes) -> None:
    """Raise DamagedPictureError where the file is cut short or a chunk does not fit; other RIFF files pass."""
    length, kind = struct.unpack_from("<I4s", content, 4)
    if kind != b"WEBP":
        return
    end = length + _CHUNK_HEAD
    if end > len(content):
        raise DamagedPictureError(f"cut short: {len(content)} bytes of {end}")
    has_data = False
    for name, data, size in _chunks(content, end):
        at = data - _CHUNK_HEAD
        if data + size > end:
            raise DamagedPictureError(f"chunk {name.decode('latin-1')!r} at byte {at} ends behind the file's end")
        if name == b"VP8 ":
            _check_lossy(content[data : data + size])
        elif name == b"VP8L" and content[data] != _LOSSLESS_SIGNATURE:
            raise DamagedPictureError("its lossless picture does not begin as one")
        has_data |= name in (b"VP8 ", b"VP8L", b"ANMF")
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


def _chunks(content: bytes, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, place of the data and length of each chunk."""
    at = _HEAD
    while at + _CHUNK_HEAD <= end:
        name, size = struct.unpack_from("<4sI", content, at)
        yield name, at + _CHUNK_HEAD, size
        at += _CHUNK_HEAD + size + size % 2


def damage_behind(
    content: bytes, pixels: NDArray[Any] | None, decode: Callable[[bytes], NDArray[Any] | None]
) -> str | None:
    """Return what shows that a WebP file of whole structure was overwritten inside; None if nothing does.

    Every bit depends on those before it: from a wrong one on the decoder reads another number of bits than were
    written. It fails at the end of the data, or has all pixels before it: then no byte there changes any. A lossless
    picture's decoder often falls into step again, and then nothing is seen.

    Args:
        content: the file's; another kind of file passes.
        pixels: what was decoded of it, None if it could not be.
        decode: decodes such a file, to see what its last bytes change. Called once for a sound picture.
    """
    if not content.startswith(SIGNATURE) or content[8:12] != b"WEBP":
        return None
    if pixels is None:
        return "its data cannot be decoded"
    chunks = list(_chunks(content, len(content)))
    found = next(((data, size) for name, data, size in chunks if name in (b"VP8 ", b"VP8L")), None)
    if found is None or found[1] < _SMALLEST:
        return None
    end = sum(found)
    tail = content[end - _TAIL : end]
    # Not one change alone: areas of one colour may look the same by other bits.
    noise = (_NOISE[start : start + _TAIL] for start in range(0, len(_NOISE), _TAIL))
    for other in (bytes(byte ^ 0xFF for byte in tail), *noise):
        changed = decode(content[: end - _TAIL] + other + content[end:])
        if changed is None or not np.array_equal(changed, pixels):
            return None
    return "its pixels end before its data"
