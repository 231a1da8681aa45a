"""The Unix socket as other processes see it; the reader is docs/examples/read_masks.py."""

import errno
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from edgeseg.core.errors import UsageError
from edgeseg.core.geometry import Size
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.records import FrameRecord
from edgeseg.runtime.sinks.base import Delivery, Playback, Sink
from edgeseg.runtime.sinks.mask_message import HEADER_BYTES
from edgeseg.runtime.sinks.open import open_sink
from edgeseg.runtime.states import Reason, Status
from tests.helpers.places import ROOT

WriteModel = Callable[..., Path]
SIZE = Size(32, 64)
MESSAGE = HEADER_BYTES + SIZE.height * SIZE.width


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "masks.sock"


@pytest.fixture
def sink(place: Path, colour_spec: ModelSpec) -> Iterator[Sink]:
    opened = open_masks(place, colour_spec)
    opened.start()
    yield opened
    opened.close()


def open_masks(place: Path, spec: ModelSpec) -> Sink:
    return open_sink(f"unix://{place}", spec, SIZE, Playback(30.0, keep_time=False))


def delivery(index: int, status: str = "ok", reason: str | None = None) -> Delivery:
    record = FrameRecord(
        index, 1000.0 + index, Status(status), Reason(reason) if reason else None, ms={"capture_to_mask": 12.5}
    )
    return Delivery(record, 50.0 + index, np.zeros((2, 2, 3), np.uint8), np.full(SIZE, index % 251, np.uint8))


def connect(place: Path, sink: Sink, readers: int = 1) -> socket.socket:
    channel = socket.socket(socket.AF_UNIX)
    channel.settimeout(10)
    channel.connect(str(place))
    wait(lambda: sink.counts()["readers"] == readers)
    return channel


def wait(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def receive(channel: socket.socket) -> bytes:
    data = b""
    while len(data) < MESSAGE:
        more = channel.recv(MESSAGE - len(data))
        assert more, "the stream ended"
        data += more
    return data


def frame_of(message: bytes) -> int:
    return int.from_bytes(message[16:24], "little")


def test_the_reader_in_the_examples_reads_a_real_stream(video: Path, write_model: WriteModel, place: Path) -> None:
    camera = subprocess.Popen(
        [sys.executable, "-m", "edgeseg.runtime", str(video), "--loop", "--model", str(write_model()), "--quiet",
         "--output", f"unix://{place}", "--deadline-ms", "10000"],
    )  # fmt: skip
    wait(lambda: place.exists() or camera.poll() is not None, seconds=90)
    assert place.exists()
    reader = [sys.executable, "-u", str(ROOT / "docs" / "examples" / "read_masks.py"), str(place)]
    process = subprocess.Popen(reader, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    lines = [process.stdout.readline().split() for _ in range(5)]
    camera.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert camera.wait(20) == 0
    assert said == "the camera has ended\n"
    ids = [int(line[0]) for line in lines]
    assert ids == sorted(set(ids))
    for line in lines:
        assert line[1:3] == ["64x32", "good"]
        assert 0 < float(line[3]) < 10_000
    assert not place.exists()


def test_each_field_stands_where_the_documentation_says(sink: Sink, place: Path, colour_spec: ModelSpec) -> None:
    channel = connect(place, sink)
    sink.write(delivery(7, "stale", "frozen"))
    message = receive(channel)
    assert message[:4] == b"ESEG"
    fields = ((4, 2, 1), (6, 2, 64), (8, 4, 64 * 32), (12, 2, 64), (14, 2, 32), (16, 8, 7))
    for at, size, expected in fields:
        assert int.from_bytes(message[at : at + size], "little") == expected
    assert np.frombuffer(message[24:40], "<f8").tolist() == [1007.0, 57.0]
    assert list(message[40:44]) == [1, 0, 3, 255]
    assert np.frombuffer(message[44:48], "<f4")[0] == 12.5
    assert message[48:64] == b"frozen".ljust(16, b"\0")
    assert message[64:] == bytes([7]) * 64 * 32


def test_a_reader_that_reads_nothing_slows_neither_the_camera_nor_another_reader(sink: Sink, place: Path) -> None:
    asleep, awake = connect(place, sink), connect(place, sink, 2)
    got = []
    slowest = 0.0
    for index in range(300):
        start = time.monotonic()
        sink.write(delivery(index))
        slowest = max(slowest, time.monotonic() - start)
        got.append(frame_of(receive(awake)))
    assert got == list(range(300))
    assert slowest < 2  # the reader that sleeps never wakes
    assert sink.counts()["missed"] > 250
    old = [frame_of(receive(asleep)) for _ in range(3)]
    while old[-1] != 299:  # what the kernel's buffer held comes first, then the newest
        old.append(frame_of(receive(asleep)))
    assert len(old) < 30
    assert old == sorted(old)


def test_readers_come_and_go(sink: Sink, place: Path) -> None:
    for index in range(20):
        channel = connect(place, sink, index + 1)
        sink.write(delivery(index))
        if index % 2:
            assert frame_of(receive(channel)) == index
        channel.close()  # every other one with a message unread
    last = connect(place, sink, 21)
    sink.write(delivery(99))
    assert frame_of(receive(last)) == 99
    wait(lambda: len(os.listdir("/proc/self/fd")) < 60)


def test_the_last_mask_is_delivered_before_the_end_of_the_stream(place: Path, colour_spec: ModelSpec) -> None:
    sink = open_masks(place, colour_spec)
    sink.start()
    channel = connect(place, sink)
    for index in range(30):  # more than the kernel holds: the last one waits for the reader
        sink.write(delivery(index))
    with ThreadPoolExecutor() as threads:
        closing = threads.submit(sink.close)
        data = b"".join(iter(lambda: channel.recv(1 << 20), b""))
        closing.result(10)
    assert len(data) % MESSAGE == 0
    assert len(data) < 30 * MESSAGE
    assert frame_of(data[-MESSAGE:]) == 29


def test_a_reader_that_reads_nothing_does_not_hold_up_the_end(place: Path, colour_spec: ModelSpec) -> None:
    sink = open_masks(place, colour_spec)
    sink.start()
    channel = connect(place, sink)
    for index in range(30):
        sink.write(delivery(index))
    with ThreadPoolExecutor() as threads:
        threads.submit(sink.close).result(10)
    data = b"".join(iter(lambda: channel.recv(1 << 20), b""))
    assert 0 < len(data) < 30 * MESSAGE
    assert not place.exists()


def test_a_socket_left_by_a_killed_run_is_replaced(place: Path, colour_spec: ModelSpec) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(place))
    left.close()
    sink = open_masks(place, colour_spec)
    sink.start()
    channel = connect(place, sink)
    sink.write(delivery(1))
    assert frame_of(receive(channel)) == 1
    sink.close()
    assert not place.exists()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o027, 0o077])
def test_the_group_may_read_and_others_may_not_whatever_the_umask(
    place: Path, colour_spec: ModelSpec, umask: int
) -> None:
    earlier = os.umask(umask)
    try:
        sink = open_masks(place, colour_spec)
        sink.start()
    finally:
        os.umask(earlier)
    assert stat.filemode(place.stat().st_mode) == "srw-rw----"
    if os.geteuid() == 0:
        place.parent.chmod(0o711)
        os.chown(place, 0, 4242)
        assert [connected_as(group, place) for group in (4242, 4243)] == [0, errno.EACCES]
    sink.close()


CONNECT_AS = """
import os, socket, sys
channel = socket.socket(socket.AF_UNIX)
os.setgroups([]), os.setgid(int(sys.argv[1])), os.setuid(65534)
sys.exit(channel.connect_ex("masks.sock"))
"""


def connected_as(group: int, place: Path) -> int:
    """Return 0, or the errno of a connection by a user whose group this is."""
    return subprocess.run([sys.executable, "-c", CONNECT_AS, str(group)], cwd=place.parent).returncode


def test_a_live_server_is_not_replaced_and_a_file_not_deleted(
    sink: Sink, place: Path, colour_spec: ModelSpec, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="another process serves"):
        open_masks(place, colour_spec).start()
    channel = connect(place, sink, 2)  # the probe was the first
    sink.write(delivery(5))
    assert frame_of(receive(channel)) == 5
    file = tmp_path / "notes.txt"
    file.write_text("keep")
    with pytest.raises(UsageError, match="no socket"):
        open_masks(file, colour_spec).start()
    assert file.read_text() == "keep"
    with pytest.raises(UsageError, match="longer than"):
        open_masks(tmp_path / ("x" * 120), colour_spec).start()


def test_readers_that_never_read_make_place_for_one_that_does(
    place: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 of them shut everybody else out before."""
    idle = [connect(place, sink, number + 1) for number in range(64)]
    for index in range(6):  # more than kernel and sink hold for a reader
        sink.write(delivery(index))
        time.sleep(0.02)
    with socket.socket(socket.AF_UNIX) as early:
        early.settimeout(10)
        early.connect(str(place))
        assert early.recv(1) == b""  # nobody has been slow for a second yet
    time.sleep(1.1)
    good = connect(place, sink, 65)
    sink.write(delivery(99))
    assert frame_of(receive(good)) == 99
    assert sink.counts()["dropped_readers"] == 1
    for channel in (*idle, good):
        channel.close()


def test_a_reader_that_takes_nothing_for_long_is_dropped_and_one_that_reads_stays(
    place: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeseg.runtime.sinks.kinds.mask_socket._PATIENCE_S", 0.5)
    idle, good = connect(place, sink), connect(place, sink, 2)
    end, index = time.monotonic() + 5, 0
    while not sink.counts()["dropped_readers"]:
        assert time.monotonic() < end
        sink.write(delivery(index))
        assert frame_of(receive(good)) == index
        index += 1
        time.sleep(0.02)
    idle.settimeout(10)
    while idle.recv(65536):  # what lay in the kernel, then the end
        pass
    sink.write(delivery(250))
    assert frame_of(receive(good)) == 250
    assert sink.counts()["dropped_readers"] == 1
    idle.close()
    good.close()


def test_a_socket_whose_path_is_deleted_is_made_again_and_said(place: Path, colour_spec: ModelSpec) -> None:
    said: list[str] = []
    opened = open_sink(f"unix://{place}", colour_spec, SIZE, Playback(30.0, keep_time=False), notice=said.append)
    opened.start()
    try:
        before = connect(place, opened)
        place.unlink()
        wait(lambda: bool(said))
        after = connect(place, opened, 2)
        opened.write(delivery(7))
        assert [frame_of(receive(channel)) for channel in (before, after)] == [7, 7]
        assert said == [f"output unix://{place} was deleted or moved away; it listens there again"]
        before.close()
        after.close()
    finally:
        opened.close()
    assert not place.exists()


def test_a_place_that_others_take_is_left_to_them_and_said(place: Path, colour_spec: ModelSpec) -> None:
    said: list[str] = []
    opened = open_sink(f"unix://{place}", colour_spec, SIZE, Playback(30.0, keep_time=False), notice=said.append)
    opened.start()
    before = connect(place, opened)
    place.unlink()
    place.write_text("somebody else's")
    wait(lambda: bool(said))
    opened.write(delivery(3))
    assert frame_of(receive(before)) == 3
    before.close()
    opened.close()
    assert len(said) == 1
    assert "no reader can connect any more" in said[0]
    assert place.read_text() == "somebody else's"


def test_nothing_beside_the_socket_is_touched(place: Path, colour_spec: ModelSpec) -> None:
    """A neighbour `masks.sock.new` was deleted."""
    neighbours = [place.with_name(f"{place.name}.new"), place.with_name(".masks.sock")]
    for each in neighbours:
        each.write_text("mine")
    opened = open_masks(place, colour_spec)
    opened.start()
    opened.close()
    assert sorted(os.listdir(place.parent)) == sorted(each.name for each in neighbours)
    assert {each.read_text() for each in neighbours} == {"mine"}
