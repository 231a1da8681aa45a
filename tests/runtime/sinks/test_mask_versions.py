"""Two versions of the socket's message at once: the confidence goes to who asks, and nobody else sees any change."""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeseg.core.geometry import Size
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.records import FrameRecord
from edgeseg.runtime.sinks.base import Delivery, Playback, Sink
from edgeseg.runtime.sinks.mask_message import ask
from edgeseg.runtime.sinks.open import open_sink
from tests.helpers.places import ROOT

SIZE = Size(32, 64)
PIXELS = SIZE.height * SIZE.width

VERSION_1_READER = """
import socket, struct, sys, time

HEADER = struct.Struct("<4sHHIHHQddBBBBf16s")


def exactly(channel, count):
    data = channel.recv(count, socket.MSG_WAITALL)
    if len(data) < count:
        sys.exit("the camera has ended")
    return data


channel = socket.socket(socket.AF_UNIX)
channel.connect(sys.argv[1])
while True:
    magic, version, header_bytes, size, width, height, frame, captured_at, monotonic, status, *rest = HEADER.unpack(
        exactly(channel, HEADER.size)
    )
    assert magic == b"ESEG" and version == 1, "another protocol: update this reader"
    exactly(channel, header_bytes - HEADER.size)
    class_map = exactly(channel, size)  # one byte a pixel, row by row
    print(frame, f"{width}x{height}", ["good", "stale"][status], f"{(time.monotonic() - monotonic) * 1e3:.1f} ms old")
"""
"""What docs/embedding.md printed before there was a version 2; programs in the field are made of it."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "masks.sock"


@pytest.fixture
def sink(place: Path, colour_spec: ModelSpec) -> Iterator[Sink]:
    opened = open_sink(f"unix://{place}", colour_spec, SIZE, Playback(30.0, keep_time=False))
    opened.start()
    yield opened
    opened.close()


def delivery(index: int, confidence: int | None) -> Delivery:
    record = FrameRecord(index, 1000.0, ms={"capture_to_mask": 12.5})
    sure = None if confidence is None else np.full(SIZE, confidence, np.uint8)
    return Delivery(record, 50.0, np.zeros((2, 2, 3), np.uint8), np.full(SIZE, index, np.uint8), confidence=sure)


def connect(place: Path, sink: Sink, said: bytes = b"") -> socket.socket:
    """Connect, and have said something."""
    before = sink.counts()["readers"]
    channel = socket.socket(socket.AF_UNIX)
    channel.settimeout(10)
    channel.connect(str(place))
    channel.sendall(said)
    end = time.monotonic() + 10
    while sink.counts()["readers"] == before:
        assert time.monotonic() < end
        time.sleep(0.005)
    return channel


def exactly(channel: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = channel.recv(count - len(data))
        assert more, "the stream ended"
        data += more
    return data


def message(channel: socket.socket) -> tuple[int, bytes, bytes]:
    """Return version, class map and confidence."""
    head = exactly(channel, 64)
    version, header_bytes, size = struct.unpack_from("<HHI", head, 4)
    more = exactly(channel, header_bytes - 64)
    count = struct.unpack_from("<I", more)[0] if version == 2 else 0
    return version, exactly(channel, size), exactly(channel, count)


def until_version_2(sink: Sink, channel: socket.socket, confidence: int | None) -> tuple[int, bytes, bytes]:
    """Send masks until the socket has heard what the reader wants."""
    for index in range(200):
        sink.write(delivery(index, confidence))
        got = message(channel)
        assert got[1] == bytes([index]) * PIXELS
        if got[0] == 2:
            return got
        assert got[2] == b""
        time.sleep(0.005)
    raise AssertionError("it never heard")


@pytest.mark.parametrize("confidence", [None, 200])
def test_who_asks_gets_the_confidence_and_who_does_not_sees_no_byte_of_it(
    sink: Sink, place: Path, confidence: int | None
) -> None:
    asking = connect(place, sink, ask(2))
    _, _, sure = until_version_2(sink, asking, confidence)
    assert sure == (b"" if confidence is None else bytes([confidence]) * PIXELS)
    silent = connect(place, sink)
    sink.write(delivery(9, confidence))
    assert message(asking) == (2, bytes([9]) * PIXELS, sure)
    assert exactly(silent, 64)[4:12] == struct.pack("<HHI", 1, 64, PIXELS)
    assert exactly(silent, PIXELS) == bytes([9]) * PIXELS
    silent.settimeout(0.1)
    with pytest.raises(TimeoutError):
        silent.recv(1)


@pytest.mark.parametrize(
    ("said", "version"),
    [(ask(1), 1), (b"hello, camera", 1), (b"ESE", 1), (b"ESEG\0\0", 1), (ask(2) + b"rest", 2), (ask(900), 2)],
)
def test_whatever_a_reader_says_it_gets_a_version_that_there_is(
    sink: Sink, place: Path, said: bytes, version: int
) -> None:
    channel = connect(place, sink, said)
    if version == 2:
        until_version_2(sink, channel, 7)
        return
    time.sleep(0.05)
    for index in range(5):
        sink.write(delivery(index, 7))
        assert message(channel) == (1, bytes([index]) * PIXELS, b"")


def test_a_request_may_come_in_pieces(sink: Sink, place: Path) -> None:
    channel = connect(place, sink, ask(2)[:3])
    time.sleep(0.05)
    channel.sendall(ask(2)[3:])
    until_version_2(sink, channel, 7)


def test_readers_of_both_versions_read_one_stream_of_a_model_that_tells_its_confidence(
    video: Path, write_model: Callable[..., Path], place: Path, tmp_path: Path
) -> None:
    model = write_model(with_confidence=True)
    camera = subprocess.Popen(
        [sys.executable, "-m", "edgeseg.runtime", str(video), "--loop", "--model", str(model), "--quiet",
         "--output", f"unix://{place}", "--deadline-ms", "10000"],
    )  # fmt: skip
    end = time.monotonic() + 90
    while not place.exists():
        assert camera.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    old = tmp_path / "reader.py"
    old.write_text(VERSION_1_READER)
    scripts = (old, ROOT / "docs" / "examples" / "read_masks.py")
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    readers = [subprocess.Popen([sys.executable, "-u", str(script), str(place)], **pipes) for script in scripts]
    said = []
    for reader in readers:
        assert reader.stdout
        said.append([reader.stdout.readline().split() for _ in range(20)])
    camera.send_signal(signal.SIGTERM)
    assert [reader.communicate(timeout=20)[1] for reader in readers] == ["the camera has ended\n"] * 2
    assert camera.wait(20) == 0
    for lines in said:
        ids = [int(line[0]) for line in lines]
        assert ids == sorted(set(ids))
        assert [line[1:3] for line in lines] == [["64x32", "good"]] * 20
    assert all(line[4:] == ["ms", "old"] for line in said[0])
    assert said[1][-1][4:6] == ["ms", "old,"]
    assert float(said[1][-1][6].rstrip("%")) > 60
