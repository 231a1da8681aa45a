"""What OpenCV does not tell of a Matroska or WebM file (RFC 9559)."""

from __future__ import annotations

from pathlib import Path

_HEAD_BYTES = 1 << 20
_SIGNATURE, _CLUSTER, _TIME, _SCALE = b"\x1a\x45\xdf\xa3", b"\x1f\x43\xb6\x75", b"\xe7", b"\x2a\xd7\xb1"
_CHECKSUM = b"\xbf\x84"  # of four bytes, which may come before a cluster's time
_USUAL_SCALE_NS = 1_000_000


def begins_at(path: str) -> float:
    """Return the time of the first cluster in seconds, 0 if it is not known: the file's stated length counts from 0.

    Times that OpenCV gives count from the first frame.
    """
    try:
        with Path(path).open("rb") as file:
            head = file.read(_HEAD_BYTES)
        cluster = head.find(_CLUSTER) if head.startswith(_SIGNATURE) else -1
        if cluster < 0:
            return 0.0
        _, at = _size(head, cluster + len(_CLUSTER))
        at += 6 if head.startswith(_CHECKSUM, at) else 0
        scale = head.find(_SCALE, 0, cluster)
        scale_ns = _number(head, scale + len(_SCALE)) if scale >= 0 else _USUAL_SCALE_NS
        return _number(head, at + 1) * scale_ns / 1e9 if head.startswith(_TIME, at) else 0.0
    except (OSError, IndexError):
        return 0.0


def _size(head: bytes, at: int) -> tuple[int, int]:
    """Return a size of one to eight bytes, and where what it is of begins."""
    length = 9 - head[at].bit_length()
    return int.from_bytes(head[at : at + length], "big") & ((1 << 7 * length) - 1), at + length


def _number(head: bytes, at: int) -> int:
    length, begin = _size(head, at)
    return int.from_bytes(head[begin : begin + length], "big")
