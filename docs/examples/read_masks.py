"""Read masks, and the confidence if there is one, from `edgeseg-camera ... --output unix:///run/edgeseg.sock`.

    python read_masks.py /run/edgeseg.sock

Python's standard library alone; the bytes are described in docs/embedding.md.
"""

import socket
import struct
import sys
import time

HEADER = struct.Struct("<4sHHIHHQddBBBBf16s")
PARTS = struct.Struct("<I")


def exactly(channel: socket.socket, count: int) -> bytes:
    """Return the next bytes; end the program where the camera has ended."""
    data = channel.recv(count, socket.MSG_WAITALL)
    if len(data) < count:
        sys.exit("the camera has ended")
    return data


channel = socket.socket(socket.AF_UNIX)
channel.connect(sys.argv[1])
channel.sendall(struct.pack("<4sH", b"ESEG", 2))  # asks for version 2; until the camera has heard it, version 1 comes
while True:
    magic, version, header_bytes, size, width, height, frame, captured_at, monotonic, status, *rest = HEADER.unpack(
        exactly(channel, HEADER.size)
    )
    assert (magic, version) in ((b"ESEG", 1), (b"ESEG", 2)), "another protocol: update this reader"
    more = exactly(channel, header_bytes - HEADER.size) if header_bytes > HEADER.size else b""
    confidence_bytes = PARTS.unpack_from(more)[0] if version == 2 else 0
    class_map = exactly(channel, size)  # one byte a pixel, row by row
    confidence = exactly(channel, confidence_bytes) if confidence_bytes else b""  # the same; 255 is certain
    sure = f", {sum(confidence) / len(confidence) / 255:.1%} sure" if confidence else ""
    age_ms = (time.monotonic() - monotonic) * 1e3  # judge every mask by it
    print(frame, f"{width}x{height}", ["good", "stale"][status], f"{age_ms:.1f} ms old{sure}", flush=True)
