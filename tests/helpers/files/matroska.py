"""Matroska files (RFC 9559) with packets at any times: OpenCV writes even rates only."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

from edgeseg.core.geometry import Size


def _element(identity: str, content: bytes) -> bytes:
    return bytes.fromhex(identity) + struct.pack(">Q", len(content) | 1 << 56) + content


def _number(identity: str, value: int) -> bytes:
    return _element(identity, value.to_bytes(8, "big"))


def write_matroska(
    path: Path,
    packets: Sequence[bytes],
    times_ms: Sequence[int],
    size: Size,
    codec: str = "V_MJPEG",
    seconds: float = 0,
    turned: float = 0,
) -> None:
    """Write a video track. Every packet is a key frame.

    Args:
        seconds: the length that the file states, if any.
        turned: by so many degrees it says that it is to be shown.
    """
    length = _element("4489", struct.pack(">d", seconds * 1e3)) if seconds else b""
    info = _element(
        "1549A966", _number("2AD7B1", 1_000_000) + length + _element("4D80", b"test") + _element("5741", b"test")
    )
    turn = _element("7670", _number("7671", 0) + _element("7675", struct.pack(">f", turned))) if turned else b""
    video = _element("E0", _number("B0", size.width) + _number("BA", size.height) + turn)
    track = _number("D7", 1) + _number("73C5", 1) + _number("83", 1) + _element("86", codec.encode()) + video
    clusters = b"".join(
        _element("1F43B675", _number("E7", at) + _element("A3", b"\x81\0\0\x80" + packet))
        for at, packet in zip(times_ms, packets, strict=True)
    )
    head = _element("1A45DFA3", _element("4282", b"matroska") + _number("4287", 4) + _number("4285", 2))
    path.write_bytes(head + _element("18538067", info + _element("1654AE6B", _element("AE", track)) + clusters))
