"""Faults of cameras, caused for real. Those that take long are marked `faults`: make test-faults."""

import contextlib
import itertools
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg.core.errors import SourceError
from edgeseg.core.geometry import Size
from edgeseg.runtime.capture.capture import Capture, CapturedFrame
from edgeseg.runtime.settings import CaptureSettings
from edgeseg.runtime.sources.addresses import parse_source
from edgeseg.runtime.states import Reason
from tests.helpers.camera_servers import NO_RTSP_SERVER, MjpegCamera, RtspCamera
from tests.helpers.colour_model import VIDEO_SIZE, numbered_frame

GO_ON = threading.Event()  # never set
RECOVERY_S = 2.0
OPENING_S = 0.7  # of a camera here, process and all, on a machine that does nothing else

needs_rtsp_server = pytest.mark.skipif(not RtspCamera.is_available(), reason=NO_RTSP_SERVER)


@pytest.fixture
def camera() -> Iterator[MjpegCamera]:
    with MjpegCamera() as server:
        yield server


class Consumer:
    """Takes the frames of a camera as the loop does, and notes what a user would see of them."""

    def __init__(self, capture: Capture) -> None:
        self.capture = capture
        self.seen: list[tuple[int, str | None, float]] = []
        began = time.monotonic()
        capture.wait_until_open(GO_ON)
        # Two seconds where the machine is free: what opening took longer than usual just now, recovery may too.
        self.recovery_s = RECOVERY_S + 2 * max(0.0, time.monotonic() - began - OPENING_S)
        capture.start()
        self.first_after(0.0)

    def take(self, until: float) -> CapturedFrame | None:
        frame = self.capture.next_frame(GO_ON, until)
        if frame is not None:
            self.seen += [(each.id, "skipped", 0.0) for each in frame.skipped]
            self.seen.append((frame.id, frame.reason, frame.captured_monotonic))
            self.capture.release(frame)
        return frame

    def watch(self, seconds: float) -> list[str | None]:
        """Return the reasons of the frames that come within the next seconds."""
        before, end = len(self.seen), time.monotonic() + seconds
        while time.monotonic() < end:
            self.take(end)
        return [reason for _, reason, _ in self.seen[before:] if reason != "skipped"]

    def first_after(self, moment: float, reason: str | None = None, within: float = 15.0) -> float:
        """Wait for a frame captured after `moment`, good or with `reason`; return how long after.

        Without the time that this process and the capture process were ready to run and got no core.
        """
        end = time.monotonic() + within
        before = {pid: unserved_s(pid) for pid in (os.getpid(), self.capture.pid) if pid}
        while time.monotonic() < end:
            frame = self.take(end)
            if frame is not None and frame.captured_monotonic >= moment and frame.reason == reason:
                pids = (os.getpid(), self.capture.pid)
                unserved = sum(unserved_s(pid) - before.get(pid, 0.0) for pid in pids if pid)
                return time.monotonic() - moment - unserved
        raise AssertionError(f"no such frame within {within} s: {self.capture.health.to_dict()}")

    def process(self) -> int:
        """Return the capture process that is at work or standing by."""
        end = time.monotonic() + 15
        while (pid := self.capture.pid) is None:
            assert time.monotonic() < end
            time.sleep(0.01)
        return pid

    def all_accounted_for(self) -> bool:
        captured, left = self.capture.finish()
        return [identity for identity, _, _ in self.seen] + [each.id for each in left] == list(range(captured))


def unserved_s(pid: int) -> float:
    """Return for how long a process's first thread waited for a core in its life."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except OSError:  # it has gone, or the kernel does not tell
        return 0.0


def watched(camera: MjpegCamera | RtspCamera, **settings: float) -> Capture:
    return Capture(parse_source(camera.uri), settings=CaptureSettings(**settings))  # type: ignore[arg-type]


def children() -> list[str]:
    return Path(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/children").read_text().split()


def test_a_killed_capture_process_is_replaced(camera: MjpegCamera) -> None:
    with watched(camera) as capture:
        consumer = Consumer(capture)
        first = consumer.process()
        os.kill(first, signal.SIGKILL)
        killed_at = time.monotonic()
        consumer.watch(0.3)
        assert consumer.first_after(killed_at + 0.2) < consumer.recovery_s
        assert capture.pid != first
        assert not Path(f"/proc/{first}").exists()
        assert (capture.health.deaths, capture.health.reconnects) == (1, 1)
        news = capture.take_news()
        assert "ended by signal 9" in news[0]
        assert "back after" in news[1]
        assert consumer.all_accounted_for()


def test_a_read_that_hangs_is_ended_and_the_camera_opened_again(camera: MjpegCamera) -> None:
    """A stopped process is the hardest hang: it answers nothing and no signal but SIGKILL ends it."""
    with watched(camera, stall_s=1.0) as capture:
        consumer = Consumer(capture)
        os.kill(consumer.process(), signal.SIGSTOP)
        stopped_at = time.monotonic()
        consumer.watch(0.5)
        assert consumer.first_after(stopped_at + 0.4) < 0.6 + consumer.recovery_s
        assert (capture.health.stalls, capture.health.reconnects) == (1, 1)
        assert 1.0 < capture.health.away.longest < 1.0 + consumer.recovery_s
        assert consumer.all_accounted_for()


@pytest.mark.parametrize("away_s", [0.5, 3.0])
def test_a_camera_that_loses_its_power_is_found_again(camera: MjpegCamera, away_s: float) -> None:
    with watched(camera) as capture:
        consumer = Consumer(capture)
        camera.stop()
        consumer.watch(away_s)
        camera.start()
        assert consumer.first_after(time.monotonic()) < consumer.recovery_s
        assert (capture.health.losses, capture.health.reconnects) == (1, 1)
        assert away_s - 0.4 < capture.health.away.longest < away_s + consumer.recovery_s + 0.2
        assert consumer.all_accounted_for()


def test_a_server_that_accepts_and_sends_nothing_holds_nobody_up(camera: MjpegCamera) -> None:
    with watched(camera) as capture:
        consumer = Consumer(capture)
        camera.mode = "silent"
        camera.hang_up()
        assert consumer.watch(3.0).count(None) <= 3
        camera.mode = "good"  # for new connections; those that wait get no answer
        assert consumer.first_after(time.monotonic()) < consumer.recovery_s
        assert consumer.all_accounted_for()


def test_frames_that_stop_for_three_seconds_are_a_stall(camera: MjpegCamera) -> None:
    with watched(camera) as capture:
        consumer = Consumer(capture)
        camera.mode = "pause"
        consumer.watch(3.0)
        camera.mode = "good"
        assert consumer.first_after(time.monotonic()) < consumer.recovery_s
        assert (capture.health.stalls, capture.health.reconnects) == (1, 1)
        assert 2.5 < capture.health.away.longest < 3.2 + consumer.recovery_s


def test_a_camera_is_waited_for_as_long_as_asked_for() -> None:
    """A picture in 4.5 s: longer than a connection is waited for."""
    with MjpegCamera(fps=1 / 4.5) as camera, watched(camera, stall_s=30.0) as capture:
        consumer = Consumer(capture)
        consumer.first_after(0.0)
        health = capture.health
        assert (health.losses, health.stalls, camera.connections) == (0, 0, 1)


def test_a_frozen_picture_is_not_one_of_now(camera: MjpegCamera) -> None:
    with watched(camera) as capture:
        consumer = Consumer(capture)
        camera.mode = "frozen"
        froze_at = time.monotonic()
        assert consumer.first_after(froze_at, "frozen") < 0.5 + consumer.recovery_s
        assert set(consumer.watch(1.0)) == {"frozen"}
        camera.mode = "good"
        assert consumer.first_after(time.monotonic()) < consumer.recovery_s
        assert consumer.watch(0.3).count("frozen") == 0
        spells = capture.health.to_dict()["frozen"]
        assert spells["count"] == 1
        assert 0.5 < spells["longest_s"] < 1.0 + 2 * consumer.recovery_s
        assert capture.health.reconnects == 0


def test_a_picture_gone_black_is_not_one_of_now(camera: MjpegCamera) -> None:
    with watched(camera, frozen_s=5.0) as capture:
        consumer = Consumer(capture)
        camera.mode = "black"
        assert consumer.first_after(time.monotonic(), "black") < consumer.recovery_s
        assert set(consumer.watch(0.5)) == {"black"}
        camera.mode = "good"
        assert consumer.first_after(time.monotonic()) < consumer.recovery_s
        assert capture.health.to_dict()["black"]["count"] == 1


def test_a_change_of_resolution_in_mid_stream_keeps_pictures_whole(camera: MjpegCamera) -> None:
    with watched(camera) as capture:
        consumer = Consumer(capture)
        for size in (Size(48, 200), Size(240, 320), VIDEO_SIZE):
            camera.size = size
            end = time.monotonic() + 5
            frame = capture.next_frame(GO_ON, end)
            while frame and frame.picture.shape[:2] != size:
                capture.release(frame)
                frame = capture.next_frame(GO_ON, end)
            assert frame is not None
            expected = numbered_frame(0, size)
            colours = np.abs(frame.picture.astype(int) - expected).max(axis=2)
            assert np.median(colours) < 50  # the numbers, in brightness, differ; the three stripes do not
            capture.release(frame)
        consumer.watch(0.2)
        assert capture.health.resolution_changes == 3
        assert capture.health.reconnects == 0
        assert "from 128x72 to 200x48" in capture.take_news()[0]


@pytest.mark.parametrize("damage", ["truncated", "garbage"])
def test_damaged_pictures_are_let_go_and_counted(camera: MjpegCamera, damage: str) -> None:
    with watched(camera) as capture:
        consumer = Consumer(capture)
        camera.mode = damage
        consumer.watch(0.5)  # what was on its way
        assert consumer.watch(1.0) == []
        camera.mode = "good"
        assert consumer.first_after(time.monotonic()) < consumer.recovery_s
        assert capture.health.damaged > 10
        assert capture.health.reconnects == 0
        assert consumer.all_accounted_for()


def test_a_capture_process_without_memory_is_replaced(camera: MjpegCamera) -> None:
    with watched(camera) as capture:
        consumer = Consumer(capture)
        resource.prlimit(consumer.process(), resource.RLIMIT_AS, (2**20, 2**20))
        camera.size = Size(1080, 1920)  # wants a new ring
        began = time.monotonic()
        end = began + 10
        frame = capture.next_frame(GO_ON, end)
        while frame and frame.picture.shape[0] != 1080:
            capture.release(frame)
            frame = capture.next_frame(GO_ON, end)
        assert frame is not None
        capture.release(frame)
        assert capture.health.reconnects == 1
        consumer.watch(0.1)


class MemoryGroup:
    """Processes that together may have so much memory, as in a container."""

    def __init__(self) -> None:
        root = Path("/sys/fs/cgroup")
        is_old = (root / "memory").is_dir()
        self.path = (root / "memory" if is_old else root) / f"edgeseg-test-{os.getpid()}"
        self._limit = self.path / ("memory.limit_in_bytes" if is_old else "memory.max")
        self._usage = self.path / ("memory.usage_in_bytes" if is_old else "memory.current")
        self._processes: list[subprocess.Popen[str]] = []

    def add(self, process: subprocess.Popen[str]) -> None:
        (self.path / "cgroup.procs").write_text(str(process.pid))
        self._processes.append(process)

    def leave(self, mebibytes: int) -> None:
        """Allow so much more than is used now."""
        self._limit.write_text(str(int(self._usage.read_text()) + mebibytes * 2**20))

    def kill(self) -> None:
        for pid in (self.path / "cgroup.procs").read_text().split():
            os.kill(int(pid), signal.SIGKILL)
        for process in self._processes:
            process.wait(10)


@pytest.fixture
def memory_group() -> Iterator[MemoryGroup]:
    group = MemoryGroup()
    try:
        group.path.mkdir()
        group.leave(2**14)
    except OSError as error:
        with contextlib.suppress(OSError):
            group.path.rmdir()
        pytest.skip(f"limiting memory needs root and a memory cgroup ({error.strerror})")
    yield group
    group.kill()
    end = time.monotonic() + 10
    while group.path.is_dir() and time.monotonic() < end:
        with contextlib.suppress(OSError):  # its processes are still ending
            group.path.rmdir()
        time.sleep(0.05)


def test_when_memory_runs_out_the_capture_process_goes_and_comes_back_and_the_masks_go_on(
    camera: MjpegCamera, write_model: Callable[..., Path], tmp_path: Path, memory_group: MemoryGroup
) -> None:
    stats, summary = tmp_path / "stats.jsonl", tmp_path / "summary.json"
    program = (
        "import os, sys; sys.stdin.readline(); "
        "os.execv(sys.executable, [sys.executable, '-m', 'edgeseg.runtime', *sys.argv[1:]])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, camera.uri, "--model", str(write_model()), "--stats", str(stats),
         "--summary", str(summary), "--stall-seconds", "60"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    memory_group.add(process)

    def wait_for(condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not condition():
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)

    def good() -> int:
        return stats.read_text().count('"ok"') if stats.exists() else 0

    def capture_process() -> set[str]:
        tasks = Path(f"/proc/{process.pid}/task").iterdir()
        return {child for task in tasks for child in (task / "children").read_text().split()}

    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    wait_for(lambda: good() > 10)
    first = capture_process()
    memory_group.leave(30)
    camera.size = Size(4320, 7680)  # 100 MB a picture, more than what dropping the files' cached pages gives back
    wait_for(lambda: not first & capture_process())
    camera.size = VIDEO_SIZE
    camera.hang_up()
    before = good()
    wait_for(lambda: good() > before + 20)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr
    assert "ended by signal 9" in stderr
    assert json.loads(summary.read_text())["source_health"]["deaths"] >= 1


def leak_free_faults(camera: MjpegCamera, faults: int) -> None:
    """Cause so many faults of three kinds; nothing may pile up."""

    def resources() -> tuple[int, int, int]:
        gone = [process for process in children() if not Path(f"/proc/{process}/exe").exists()]
        return len(os.listdir("/proc/self/fd")), threading.active_count(), len(gone)

    def memory_mib() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20

    with watched(camera, stall_s=1.0) as capture:
        consumer = Consumer(capture)
        before = settled = (0, 0, 0)
        memory_before = 0.0
        for index in range(faults):
            if index == 3:
                before, memory_before = resources(), memory_mib()
            faulty_at = time.monotonic()
            if index % 3 == 0:
                os.kill(consumer.process(), signal.SIGKILL)
            elif index % 3 == 1:
                camera.hang_up()
            else:
                os.kill(consumer.process(), signal.SIGSTOP)
            consumer.first_after(faulty_at + 0.25, within=60)
            consumer.watch(0.3)  # as long as the backoff, which then begins anew
            assert capture.health.reconnects == index + 1
            settled = resources()
        assert settled[0] <= before[0] + 1  # of the test's own server, a connection that is just being closed
        assert settled[1] <= before[1] + 1
        assert settled[2] == 0
        # A few MiB come and go in a process that ran other tests before; many faults run in one of their own.
        assert memory_mib() - memory_before < (5 + 0.05 * faults if faults >= 100 else 20)
        assert consumer.all_accounted_for()


def test_faults_leave_no_process_memory_or_descriptor_behind(camera: MjpegCamera) -> None:
    leak_free_faults(camera, 6)


@pytest.mark.faults
def test_two_hundred_faults_leave_nothing_behind(camera: MjpegCamera) -> None:
    segments = set(os.listdir("/dev/shm"))
    leak_free_faults(camera, 200)
    assert set(os.listdir("/dev/shm")) <= segments


def test_a_camera_killed_with_its_parent_while_it_is_away_leaves_nothing(camera: MjpegCamera) -> None:
    program = textwrap.dedent(f"""
        import threading
        from edgeseg.runtime.capture.capture import Capture
        from edgeseg.runtime.sources.addresses import parse_source
        never = threading.Event()
        with Capture(parse_source({camera.uri!r})) as capture:
            capture.wait_until_open(never)
            capture.start()
            print("open", flush=True)
            while True:
                frame = capture.next_frame(never)
                capture.release(frame)
    """)
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "open\n"
    camera.stop()
    time.sleep(0.3)
    tasks = list(Path(f"/proc/{parent.pid}/task").iterdir())
    standing_by = [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
    assert len(standing_by) == 1
    parent.kill()
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + 5
    while time.monotonic() < end and Path(f"/proc/{standing_by[0]}").exists():
        time.sleep(0.02)
    assert not Path(f"/proc/{standing_by[0]}").exists()


def test_what_cannot_be_opened_at_the_start_is_an_error_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    began = time.monotonic()
    with Capture(parse_source(f"http://127.0.0.1:{port}/")) as capture, pytest.raises(SourceError, match="refused"):
        capture.wait_until_open(GO_ON)
    assert time.monotonic() - began < 5


def test_a_camera_that_comes_up_after_the_computer_is_waited_for() -> None:
    camera = MjpegCamera()
    camera.start()
    camera.stop()
    threading.Timer(1.5, camera.start).start()
    with watched(camera, give_up_s=20.0) as capture:
        assert capture.wait_until_open(GO_ON) == VIDEO_SIZE
    camera.stop()


def test_a_camera_that_never_comes_back_is_given_up_when_asked(camera: MjpegCamera) -> None:
    with watched(camera, give_up_s=1.0) as capture:
        consumer = Consumer(capture)
        camera.stop()
        gone_at = time.monotonic()
        with pytest.raises(SourceError, match="http://127"):
            consumer.watch(10.0)
        assert 1.0 < time.monotonic() - gone_at < 1.0 + consumer.recovery_s


def test_a_truncated_file_ends_with_a_warning(video: Path) -> None:
    data = video.read_bytes()
    video.write_bytes(data[: len(data) // 2])
    with Capture(parse_source(str(video)), every_frame=True) as capture:
        capture.wait_until_open(GO_ON)
        capture.start()
        frames = 0
        while frame := capture.next_frame(GO_ON):
            frames += 1
            capture.release(frame)
        assert 0 < frames < 20
        assert "of the 30 that it states; it may be cut off" in capture.take_news()[0]


def test_frames_decoded_from_corrupt_packets_are_not_good_until_the_next_key_frame(
    write_model: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg gives a picture all the same, and draws the following ones on it."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # with it C's stdio holds nothing back either
    sound, corrupt = tmp_path / "sound.mp4", tmp_path / "corrupt.mp4"
    random = np.random.default_rng(0)
    scene = random.integers(0, 256, (90, 200, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    writer = cv2.VideoWriter(str(sound), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (640, 360))
    for index in range(60):  # a key frame each 12
        writer.write(scene[:, 2 * index : 2 * index + 640])
    writer.release()
    data = bytearray(sound.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 1500] = random.bytes(1500)
    corrupt.write_bytes(data)
    (expected, no_reasons), (pictures, reasons) = all_frames(sound), all_frames(corrupt)
    assert set(no_reasons) == {None}
    assert len(pictures) == 60
    differs = [np.abs(a.astype(int) - b).mean() > 1 for a, b in zip(pictures, expected, strict=True)]
    assert any(differs)
    assert not [index for index in range(60) if differs[index] and reasons[index] != "corrupt"]
    assert reasons.count(Reason.CORRUPT) <= 24  # one group of frames, two at most, and no more
    assert reasons[0] is reasons[-1] is None
    summary = tmp_path / "summary.json"
    done = subprocess.run(
        [sys.executable, "-m", "edgeseg.runtime", str(corrupt), "--model", str(write_model(Size(360, 640))),
         "--every-frame", "--summary", str(summary), "--log-json", "--backend", "onnxruntime-cpu"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    stale = json.loads(summary.read_text())["stale"]
    assert stale["corrupt"] == reasons.count(Reason.CORRUPT)
    events = [json.loads(line)["event"] for line in done.stderr.splitlines()]  # and nothing of FFmpeg's
    assert [event for event in events if event != "state"] == ["summary"]
    assert done.stdout == ""


def all_frames(path: Path) -> tuple[list[np.ndarray], list[Reason | None]]:
    with Capture(parse_source(str(path)), every_frame=True) as capture:
        capture.wait_until_open(GO_ON)
        capture.start()
        pictures, reasons = [], []
        while frame := capture.next_frame(GO_ON):
            pictures.append(frame.picture.copy())
            reasons.append(frame.reason)
            capture.release(frame)
        return pictures, reasons


@needs_rtsp_server
def test_an_rtsp_camera_stopped_and_started_again_is_found_again() -> None:
    with RtspCamera() as camera, watched(camera) as capture:
        consumer = Consumer(capture)
        assert capture.size == Size(240, 320)
        for away_s in (0.3, 2.5):
            camera.stop()
            consumer.watch(away_s)
            camera.start()
            assert consumer.first_after(time.monotonic()) < consumer.recovery_s
        assert (capture.health.losses, capture.health.reconnects) == (2, 2)
        assert consumer.all_accounted_for()


@needs_rtsp_server
@pytest.mark.parametrize("threads", [1, 3])
def test_rtsp_frames_are_held_back_by_no_more_decoder_threads_than_asked_for(threads: int) -> None:
    """OpenCV's default is a thread a core: seven frames late on eight cores, which no clock here would show."""
    with RtspCamera() as camera:
        program = textwrap.dedent(f"""
            import sys, cv2
            from edgeseg.runtime.sources.kinds.rtsp import open_rtsp
            from edgeseg.runtime.sources.addresses import parse_source
            from edgeseg.runtime.sources.source import SourceOptions
            options = SourceOptions() if {threads} == 1 else SourceOptions(decoder_threads={threads})
            reader = open_rtsp(parse_source({camera.uri!r}, options=options))
            sys.exit(100 + int(reader._capture.get(cv2.CAP_PROP_N_THREADS)))
        """)
        assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 100 + threads


@needs_rtsp_server
def test_the_password_of_a_camera_is_used_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    password = "geh/eim@1"
    with RtspCamera(login=f"fahrer:{password}") as camera:
        with Capture(parse_source(camera.uri)) as capture, pytest.raises(SourceError, match="user and password"):
            capture.wait_until_open(GO_ON)
        monkeypatch.setenv("EDGESEG_SOURCE_CREDENTIALS", f"fahrer:{password}")
        source = parse_source(camera.uri)
        with Capture(source) as capture:
            assert capture.wait_until_open(GO_ON) == Size(240, 320)
            pid = capture.pid
            assert pid is not None
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
            os.kill(pid, signal.SIGKILL)
            capture.start()
            time.sleep(0.5)
            news = " ".join(capture.take_news())
    shown = " ".join([arguments, news, repr(source), source.uri, *capfd.readouterr()])
    assert "geh" not in shown
    assert source.uri == camera.uri.replace("rtsp://", "rtsp://***@")


def test_the_camera_command_lives_through_faults_and_tells_of_them(
    camera: MjpegCamera, write_model: Callable[..., Path], tmp_path: Path
) -> None:
    stats, summary = tmp_path / "stats.jsonl", tmp_path / "summary.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "edgeseg.runtime", camera.uri, "--model", str(write_model()), "--stats", str(stats),
         "--summary", str(summary), "--output", f"{tmp_path}/masks/", "--stall-seconds", "20"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip

    def records() -> list[dict[str, object]]:
        return [json.loads(line) for line in stats.read_text().splitlines()] if stats.exists() else []

    def wait_for(condition: Callable[[], object]) -> None:
        end = time.monotonic() + 90
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.05)

    wait_for(lambda: len(records()) > 10)
    camera.mode = "frozen"
    wait_for(lambda: records()[-1]["reason"] == "frozen")
    camera.mode = "good"
    wait_for(lambda: records()[-1]["status"] == "ok")
    camera.stop()
    time.sleep(0.5)
    before = len(records())
    camera.start()
    wait_for(lambda: len(records()) > before + 10)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 0, stderr
    assert "back after" in stderr
    assert "1 reconnects" in stdout
    result = json.loads(summary.read_text())
    assert result["source_health"]["reconnects"] == 1
    assert result["source_health"]["frozen"]["count"] == 1
    frames = result["frames"]
    assert frames["captured"] == len(records()) == sum(n for status, n in frames.items() if status != "captured")
    stale = {f"{record['frame']:08d}.png" for record in records() if record["status"] == "stale"}
    assert stale
    assert not stale & set(os.listdir(tmp_path / "masks"))


def test_a_sink_that_is_gone_does_not_end_the_masks(
    camera: MjpegCamera, write_model: Callable[..., Path], tmp_path: Path
) -> None:
    from edgeseg.runtime.engines.choose import open_engine
    from edgeseg.runtime.loop import run
    from edgeseg.runtime.settings import LoopSettings

    model, masks = write_model(), tmp_path / "masks"

    def take_away(ledger: object, seconds: float) -> None:
        if masks.is_dir():
            masks.rename(tmp_path / f"gone{time.monotonic_ns()}")
            with contextlib.suppress(IsADirectoryError):  # the sink's thread was quicker: with the next frame
                masks.write_bytes(b"no folder")

    settings = LoopSettings(frames=30, outputs=(f"{masks}/",))
    outcome = run(parse_source(camera.uri), lambda: open_engine(model), settings, GO_ON, watch=take_away)
    assert outcome.error is None
    assert outcome.summary.frames["processed"] == 30
    assert "given up" in outcome.failures[0]


def test_the_clock_set_back_changes_no_age_and_no_order(
    camera: MjpegCamera, write_model: Callable[..., Path], tmp_path: Path
) -> None:
    """libfaketime sets the wall clock of the command and its capture process back by an hour in mid-stream."""
    libraries = list(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not libraries:
        pytest.skip("no libfaketime: apt-get install faketime")
    offset, stats = tmp_path / "offset", tmp_path / "stats.jsonl"
    offset.write_text("+0\n")
    environment = os.environ | {
        "LD_PRELOAD": str(libraries[0]),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "edgeseg.runtime", camera.uri, "--model", str(write_model()), "--stats", str(stats),
         "--quiet", "--backend", "onnxruntime-cpu"],
        env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip

    def wait_for_lines(count: int) -> int:
        end = time.monotonic() + 90
        while not (stats.exists() and (written := stats.read_text().count("\n")) >= count):
            assert time.monotonic() < end
            assert process.poll() is None
            time.sleep(0.02)
        return written

    before = wait_for_lines(10)
    earlier = tmp_path / "earlier"
    earlier.write_text("-3600\n")
    earlier.replace(offset)
    wait_for_lines(before + 30)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 0, stderr
    lines = [json.loads(line) for line in stats.read_text().splitlines()]
    times = [line["captured_at"] for line in lines]
    assert min(b - a for a, b in itertools.pairwise(times)) < -3000  # it was set back, and before the end
    assert [line["frame"] for line in lines] == sorted(line["frame"] for line in lines)
    ages = [line["ms"]["capture_to_mask"] for line in lines if line["status"] == "ok"]
    assert min(ages) >= 0
    assert max(ages) < 60_000  # a busy machine, not an hour
