"""Where the pixels of a TIFF file lie (TIFF 6.0, Adobe 1992). It has no checksums, but those of zlib within it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

from edgeseg.core.pictures.error import DamagedPictureError

SIGNATURES = (b"II*\0", b"MM\0*")
_STRIPS, _TILES = (273, 279), (324, 325)  # offsets, byte counts
_FORMATS = {1: "B", 2: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I"}
_SIZES = {**{kind: struct.calcsize(letter) for kind, letter in _FORMATS.items()}, 5: 8, 10: 8}
_ENTRY = 12
_WIDTH, _HEIGHT, _COMPRESSION, _ORIENTATION = 256, 257, 259, 274
_ZLIB = (8, 32946)  # of _COMPRESSION
_PIECE = 2**20  # bytes that are decompressed at a time: only the checksum is wanted

Fields = Mapping[int, tuple[float, ...]]


def check(content: bytes) -> None:
    """Raise DamagedPictureError where its first picture's strips or tiles do not lie within the file."""
    found = fields(content)
    offsets, counts = next(
        ((found[at], found[size]) for at, size in (_STRIPS, _TILES) if at in found and size in found), ((), ())
    )
    if not offsets or len(offsets) != len(counts):
        raise DamagedPictureError("it does not say where its pixels are")
    end = max(int(offset + count) for offset, count in zip(offsets, counts, strict=True))
    if end > len(content):
        raise DamagedPictureError(f"cut short: its pixels end at byte {end} of {len(content)}")
    if not any(counts):
        raise DamagedPictureError("it has no picture data")
    if found.get(_COMPRESSION, (1,))[0] in _ZLIB:
        for offset, count in zip(offsets, counts, strict=True):
            _check_zlib(content[int(offset) : int(offset + count)], int(offset))


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
    width, height = (int(found[tag][0]) for tag in (_WIDTH, _HEIGHT))
    return (width, height) if found.get(_ORIENTATION, (1,))[0] >= 5 else (height, width)


def fields(content: bytes) -> Fields:
    """Return the numbers of the first directory, by tag. Raises DamagedPictureError or struct.error."""
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
        if kind in _FORMATS:
            found[tag] = struct.unpack_from(f"{order}{count}{_FORMATS[kind]}", content, place)
    return found
