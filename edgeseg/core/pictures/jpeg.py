"""The markers of a JPEG file (ITU-T T.81, annex B)."""

from __future__ import annotations

import re

from edgeseg.core.pictures.error import DamagedPictureError

SIGNATURE = b"\xff\xd8"
END_MARK = b"\xff\xd9"
_SOF = (0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_EOI, _SOS, _RST0, _RST7 = 0xD9, 0xDA, 0xD0, 0xD7
_FIRST_MARKER = 0xC0  # those below are reserved
_NEXT = re.compile(rb"\xff([^\x00\xff])")  # in picture data; a + here would make it ten times as slow
_HERE = re.compile(rb"\xff+([^\x00\xff])")
# Whatever else libjpeg warns of says nothing of the pixels: an unknown JFIF version, an Adobe code, odd scans.
_COMPLAINT = re.compile(r"(?:Corrupt JPEG data: (?!bad ICC)|Premature end|Inconsistent progression).*")


def check(content: bytes) -> None:
    """Raise DamagedPictureError where the file is cut short or its markers do not follow each other.

    Data behind the end mark are accepted: previews, second pictures and the zeros of cameras stand there.
    """
    frames = scans = restarts = 0
    at, is_scan = len(SIGNATURE), False
    while True:
        found = _NEXT.search(content, at) if is_scan else _HERE.match(content, at)
        if found is None:
            raise _no_marker(content, at, is_scan)
        marker, at = found[1][0], found.end()
        if _RST0 <= marker <= _RST7:
            if not is_scan or marker - _RST0 != restarts % 8:
                raise DamagedPictureError(f"restart marker {marker - _RST0} out of turn at byte {found.start()}")
            restarts += 1
            continue
        if marker == _EOI:
            if not scans:
                raise DamagedPictureError("it has no picture data")
            return
        if marker < _FIRST_MARKER or marker == SIGNATURE[1]:
            raise DamagedPictureError(f"marker 0x{marker:02x} at byte {found.start()}, which has no place there")
        frames += marker in _SOF
        is_scan, restarts = marker == _SOS, 0
        scans += is_scan
        if is_scan and not frames:
            raise DamagedPictureError("picture data before a header that says their size")
        at += _length(content, at)


def _length(content: bytes, at: int) -> int:
    length = content[at] << 8 | content[at + 1]
    if length < 2:
        raise DamagedPictureError(f"a segment of {length} bytes at byte {at}")
    return length


def _no_marker(content: bytes, at: int, is_scan: bool) -> DamagedPictureError:
    rest = content[at:]
    if is_scan or not rest.strip(b"\xff"):
        return DamagedPictureError("cut short: it has no end mark")
    return DamagedPictureError(f"no marker at byte {at}, where one has to be")


def damage_in(said: str) -> str | None:
    """Return the first thing among libjpeg's warnings, a line each, by which the pixels are wrong."""
    found = _COMPLAINT.search(said)
    return found[0].strip() if found else None
