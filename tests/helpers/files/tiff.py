"""TIFF files of any depth, which no library here writes: one uncompressed strip, little-endian (TIFF 6.0)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHORT, LONG = 3, 4


def tiff_of_bits(values: NDArray[Any], bits: int, fields: Mapping[int, int] | None = None) -> bytes:
    """Return a file of (H, W) grey or (H, W, 3) RGB values, each in so many bits, rows padded to bytes.

    Args:
        values: not above 2**bits - 1.
        bits: 10 to 16; 16 are stored as numbers, fewer are packed.
        fields: further numbers by tag, one a sample.
    """
    height, width = values.shape[:2]
    samples = values.shape[2] if values.ndim == 3 else 1
    pixels = b"".join(_row(row.ravel(), bits) for row in values)
    pixels += bytes(len(pixels) % 2)
    entries = {
        256: (LONG, [width]), 257: (LONG, [height]), 258: (SHORT, [bits] * samples), 259: (SHORT, [1]),
        262: (SHORT, [2 if samples == 3 else 1]), 273: (LONG, [8]), 277: (SHORT, [samples]), 278: (LONG, [height]),
        279: (LONG, [len(pixels)]), **{tag: (SHORT, [value] * samples) for tag, value in (fields or {}).items()},
    }  # fmt: skip
    start = 8 + len(pixels)
    behind = start + 2 + 12 * len(entries) + 4
    directory, outside = struct.pack("<H", len(entries)), b""
    for tag, (kind, numbers) in sorted(entries.items()):
        packed = struct.pack(f"<{len(numbers)}{'H' if kind == SHORT else 'I'}", *numbers)
        where = packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack("<I", behind + len(outside))
        outside += packed + bytes(len(packed) % 2) if len(packed) > 4 else b""
        directory += struct.pack("<HHI", tag, kind, len(numbers)) + where
    return b"II*\0" + struct.pack("<I", start) + pixels + directory + bytes(4) + outside


def _row(values: NDArray[Any], bits: int) -> bytes:
    if bits == 16:
        return values.astype("<u2").tobytes()
    text = "".join(f"{value:0{bits}b}" for value in values.tolist())
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def png_with_chunk(content: bytes, kind: bytes, data: bytes) -> bytes:
    """Return a PNG file with a chunk behind its header."""
    header = 8 + 25
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return content[:header] + chunk + content[header:]


def grey_ramp(bits: int, height: int = 40, width: int = 64) -> NDArray[np.uint16]:
    """Return (H, W) uint16 from 0 to the highest value of so many bits."""
    return np.linspace(0, 2**bits - 1, height * width).astype(np.uint16).reshape(height, width)
