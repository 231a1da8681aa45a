"""Pictures of more than 8 bits a colour, made 8 bits: how many of the 16 that are stored count.

Cameras of 10, 12 and 14 bits are often stored in 16 as they are, with the upper bits zero. Taken for 16 bits they are
nearly black. A file's own statement counts first; where there is none, all pictures of one folder and suffix are taken
alike, by the highest value in some of them: by each one's own, brightness would jump from frame to frame.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import DataError
from edgeseg.core.pictures import png, tiff
from edgeseg.core.pictures.damage import damage_of

BITS = (8, 10, 12, 14, 16)
LOOKED_AT = 16  # pictures of a folder, evenly spread
_BITS_PER_SAMPLE, _MAX_SAMPLE_VALUES, _SAMPLE_FORMAT, _UNSIGNED = 258, (281, 341), 339, 1

Pixels = NDArray[Any]
Decode = Callable[[bytes], Pixels | None]
"""Makes (H, W, 3) BGR of a file's content, uint16 if it has more than 8 bits; None if it cannot."""


class Depth(NamedTuple):
    """What a file of more than 8 bits a colour states.

    Attributes:
        bits: how many count, from the lowest; None if it does not say.
        significant: of a PNG with sBIT, how many count from the highest, as the standard has it, or from the lowest,
            as some cameras write it; else 0.
    """

    bits: int | None
    significant: int = 0


def depth_of(content: bytes) -> Depth | None:
    """Return what a whole PNG or TIFF states of its depth; None for 8 bits and for all other files.

    Raises:
        DataError: its numbers are no unsigned integers of up to 16 bits; it names no file.
    """
    if content.startswith(png.SIGNATURE):
        return _depth_of_png(content) if content[24] == 16 else None
    if content.startswith(tiff.SIGNATURES):
        return _depth_of_tiff(tiff.fields(content))
    return None


def _depth_of_png(content: bytes) -> Depth:
    for kind, start, length in png.chunks(content):
        if kind == b"sBIT":
            significant = max(content[start + 8 : start + 8 + length], default=16)
            return Depth(None, significant) if 8 <= significant < 16 else Depth(16)
        if kind == b"IDAT":
            break
    return Depth(None)


def _depth_of_tiff(fields: tiff.Fields) -> Depth | None:
    bits = max(fields.get(_BITS_PER_SAMPLE, (1,)))
    kind = max(fields.get(_SAMPLE_FORMAT, (_UNSIGNED,)))
    if kind == _UNSIGNED and bits <= 8:
        return None
    if kind != _UNSIGNED or bits > 16:
        name = {1: "unsigned", 2: "signed", 3: "float"}.get(kind, "other")
        raise DataError(
            f"{name} pixels of {bits} bits, of which no value is known to be white; expected unsigned integers of "
            f"8 to 16 bits: convert the pictures"
        )
    if bits < 16:
        return Depth(16)  # packed; decoders move them to the top
    highest = next((max(fields[tag]) for tag in _MAX_SAMPLE_VALUES if tag in fields), 0)
    # The highest value that occurs is written there as well: only a whole range states bits.
    return Depth(next((each for each in BITS if highest == 2**each - 1), None))


def eight_bits(content: bytes, depth: Depth, decode: Decode, path: Path | None, bits: int | None) -> Pixels | None:
    """Return a deep picture's pixels, (H, W, 3) uint8 BGR; None if it cannot be decoded.

    Args:
        content: the file's.
        depth: what it states.
        decode: reads it.
        path: where it lies, for the rule over its folder; None if it lies in another file: 16 bits then.
        bits: what the user says; None: the file's statement, then the rule.

    Raises:
        DataError: a value needs more bits; it names no file.
    """
    pixels = decode(content)
    if pixels is None or pixels.dtype != np.uint16:
        return pixels
    highest = int(pixels.max())
    counting = bits or depth.bits or _significant_bits(pixels, highest, depth.significant)
    counting = counting or (16 if path is None else _usual_bits(path, decode))
    if highest >> counting:
        raise DataError(
            f"a value of {highest}; expected at most {2**counting - 1}, of {counting} bits: say ?bits="
            f"{_bits_for(highest)} behind the data set"
        )
    return np.asarray(pixels >> (counting - 8), np.uint8)


def _significant_bits(pixels: Pixels, highest: int, significant: int) -> int:
    """Return how many bits count by PNG's sBIT: all 16 where the rest is empty or repeats the top (ISO/IEC 15948)."""
    if not significant:
        return 0
    rest = pixels & (2 ** (16 - significant) - 1)
    is_scaled = not rest.any() or np.array_equal(rest, pixels >> significant)
    return 16 if is_scaled or highest >> significant else significant


def _bits_for(highest: int) -> int:
    return next(each for each in BITS if not highest >> each)


class _Usual(NamedTuple):
    bits: int
    highest: int
    looked_at: int


_lock = threading.Lock()
_usual: dict[tuple[Path, str], _Usual] = {}
_told: set[tuple[Path, str]] = set()


def _usual_bits(path: Path, decode: Decode) -> int:
    """Return what the pictures of a folder and suffix are taken for; they are looked at once a process."""
    key = (path.parent, path.suffix.lower())
    with _lock:
        if key not in _usual:
            files = sorted(each for each in path.parent.iterdir() if each.suffix.lower() == key[1])
            chosen = np.unique(np.linspace(0, len(files) - 1, min(LOOKED_AT, len(files))).astype(int))
            found = [value for index in chosen if (value := _highest(files[index], decode)) is not None]
            highest = max(found, default=0)
            _usual[key] = _Usual(_bits_for(highest), highest, len(found))
        return _usual[key].bits


def _highest(path: Path, decode: Decode) -> int | None:
    try:
        content = path.read_bytes()
        if damage_of(content) is not None or depth_of(content) != Depth(None):
            return None
        pixels = decode(content)
    except (OSError, DataError, struct.error):
        return None
    return None if pixels is None else int(pixels.max())


def note_on(path: Path) -> str | None:
    """Return a line on a picture's folder, if the rule takes its pictures for fewer than 16 bits."""
    key = (path.parent, path.suffix.lower())
    with _lock:
        usual = _usual.get(key)
    return None if usual is None or usual.bits == 16 else _note(key, usual)


def take_notes() -> list[str]:
    """Return a line on each folder whose pictures are taken for fewer than 16 bits by the rule; each is told once."""
    with _lock:
        new = sorted(set(_usual) - _told)
        _told.update(new)
    return [_note(key, each) for key in new if (each := _usual[key]).bits < 16]


def _note(key: tuple[Path, str], usual: _Usual) -> str:
    folder, suffix = key
    return (
        f"{folder}/*{suffix}: 16-bit pictures that do not say how many bits count are taken for {usual.bits}, since "
        f"the highest value of {usual.looked_at} is {usual.highest}; ?bits= behind a data set says otherwise"
    )
