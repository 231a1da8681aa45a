"""Where the pixels of a TIFF file lie (TIFF 6.0, Adobe 1992). It has no checksums, but those of zlib within it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

from edgeseg.core.pictures.error import DamagedPictureError

SIGNATURES = (b"II*\0", b"MM\0*")
_STRIPS, _TILES = (273, 279), (324, 325)  # offsets, byte counts
_FORMATS = {1: "B", 3: "H", 4: "I", 13: "I"}  # unsigned integers, which alone are looked at
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_ENTRY = 12
_WIDTH, _HEIGHT, _COMPRESSION, _ORIENTATION = 256, 257, 259, 274
_ZLIB = (8, 32946)  # of _COMPRESSION
_PIECE = 2**20  # bytes that are decompressed at a time: only the checksum is wanted

Fields = Mapping[int, tuple[int, ...]]


def check(content: bytes) -> None:
    """Raise DamagedPictureError where its first picture's strips or tiles do not lie within the file."""
    found = fields(content)
    offsets, counts = next(((found[at], found.get(size)) for at, size in (_STRIPS, _TILES) if at in found), ((), ()))
    if counts is None:  # old writers leave them out, and readers guess
        counts = (0,) * (len(offsets) - 1) + (1,)
    if not offsets or len(offsets) != len(counts):
        raise DamagedPictureError("it does not say where its pixels are")
    end = max(offset + count for offset, count in zip(offsets, counts, strict=True))
    if end > len(content):
        raise DamagedPictureError(f"cut short: its pixels end at byte {end} of {len(content)}")
    if not any(counts):
        raise DamagedPictureError("it has no picture data")
    if found.get(_COMPRESSION, (1,))[0] in _ZLIB:
        for offset, count in zip(offsets, counts, strict=True):
            if count > 1:
                _check_zlib(content[offset : offset + count], offset)


def _check_zlib(data: bytes, at: int) -> None:
    stream = zlib.decompressobj()
    try:
        while data and not stream.eof:
            stream.decompress(data, _PIECE)
            data = stream.unconsumed_tail
    except zlib.error as error:
        raise DamagedPictureError(f"the pixels from byte {at} on do not match their checksum") from error
    if not stream.eof:
        raise DamagedPictureError(f"the pixels from byte {at} on end early")


def size_of(content: bytes) -> tuple[int, int]:
    """Return height and width of a whole file's first picture once it is turned upright."""
    found = fields(content)
    width, height = (found[tag][0] for tag in (_WIDTH, _HEIGHT))
    return (width, height) if found.get(_ORIENTATION, (1,))[0] >= 5 else (height, width)


def fields(content: bytes) -> Fields:
    """Return the unsigned integers of the first directory, by tag, at least one each.

    Raises:
        DamagedPictureError, struct.error: the directory is not whole.
    """
    order = "<" if content.startswith(b"II") else ">"
    (at,) = struct.unpack_from(f"{order}I", content, 4)
    if not 8 <= at < len(content):
        raise DamagedPictureError(f"its directory is at byte {at} of {len(content)}: cut short, or never finished")
    (entries,) = struct.unpack_from(f"{order}H", content, at)
    found = {}
    for start in range(at + 2, at + 2 + entries * _ENTRY, _ENTRY):
        tag, kind, count = struct.unpack_from(f"{order}HHI", content, start)
        size = _SIZES.get(kind, 0) * count
        place = start + 8 if size <= 4 else struct.unpack_from(f"{order}I", content, start + 8)[0]
        if place + size > len(content):
            raise DamagedPictureError(f"cut short: field {tag} of its directory lies at byte {place} of {len(content)}")
        if kind in _FORMATS and count:
            found[tag] = struct.unpack_from(f"{order}{count}{_FORMATS[kind]}", content, place)
    return found
