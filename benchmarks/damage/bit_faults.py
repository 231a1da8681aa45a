"""What happens to coded video on its way: flipped bits, and stretches that never came."""

from __future__ import annotations

import numpy as np
from coded_clips import GROUP, Packet

FLIPPED_BITS = (1, 3, 10, 30, 100)
LOST = "lost"
LOST_BYTES = 1400  # what an RTP packet carries over Ethernet
FAULTS = (*map(str, FLIPPED_BITS), LOST)
_EVERY = 2


def damaged_pictures(packets: list[Packet], fault: str, draw: np.random.Generator) -> list[Packet]:
    """Damage every second picture of the second group, each with so many bits, where they are sent on their own."""
    damaged = list(packets)
    for index in range(GROUP, 2 * GROUP, _EVERY):
        damaged[index] = _damaged(packets[index], fault, draw)
    return damaged


def damaged_stream(packets: list[Packet], fault: str, draw: np.random.Generator) -> list[Packet]:
    """Damage the second group of a stream: so many bits in all, which fall on its packets as they are long."""
    lengths = np.array([len(each.data) for each in packets[GROUP : 2 * GROUP]])
    hits = draw.multinomial(1 if fault == LOST else int(fault), lengths / lengths.sum())
    damaged = list(packets)
    for index in np.flatnonzero(hits):
        damaged[GROUP + index] = _damaged(packets[GROUP + index], fault if fault == LOST else str(hits[index]), draw)
    return damaged


def _damaged(packet: Packet, fault: str, draw: np.random.Generator) -> Packet:
    change = _without_stretch(packet.data, draw) if fault == LOST else _flipped(packet.data, int(fault), draw)
    return packet._replace(data=change)


def _flipped(data: bytes, count: int, draw: np.random.Generator) -> bytes:
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    bits[draw.choice(bits.size, min(count, bits.size), replace=False)] ^= 1
    return np.packbits(bits).tobytes()


def _without_stretch(data: bytes, draw: np.random.Generator) -> bytes:
    length = min(LOST_BYTES, len(data) // 2)
    at = int(draw.integers(0, len(data) - length))
    return data[:at] + data[at + length :]
