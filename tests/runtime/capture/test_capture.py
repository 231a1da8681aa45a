import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgeseg.core.errors import SourceError
from edgeseg.core.geometry import Size
from edgeseg.runtime.capture import process, wire
from edgeseg.runtime.capture.capture import Capture
from edgeseg.runtime.capture.process import CaptureProcess
from edgeseg.runtime.capture.wire import SLOTS
from edgeseg.runtime.machine.child import start_child
from edgeseg.runtime.settings import MAX_PIXELS
from edgeseg.runtime.sources.addresses import parse_source
from tests.helpers.colour_model import VIDEO_SIZE, numbered_frame

GO_ON = threading.Event()  # never set


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition, seconds: float = 5.0) -> bool:  # type: ignore[no-untyped-def]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def drain(capture: Capture) -> None:
    while frame := capture.next_frame(GO_ON):
        capture.release(frame)


def test_every_frame_arrives_once_in_order_and_unchanged(pictures: Path) -> None:
    with Capture(parse_source(str(pictures)), every_frame=True) as capture:
        assert capture.wait_until_open(GO_ON) == VIDEO_SIZE
        capture.start()
        seen = []
        while frame := capture.next_frame(GO_ON):
            np.testing.assert_array_equal(frame.picture, numbered_frame(frame.id))
            seen.append(frame.id)
            capture.release(frame)
    assert seen == list(range(12))


def test_a_slow_consumer_gets_the_newest_frame_and_is_told_of_the_others(video: Path) -> None:
    with Capture(parse_source(str(video), fps=100)) as capture:
        capture.wait_until_open(GO_ON)
        capture.start()
        accounted, taken = [], []
        while frame := capture.next_frame(GO_ON):
            age_s = time.monotonic() - frame.captured_monotonic
            taken.append((frame.id, age_s))
            accounted += [each.id for each in frame.skipped] + [frame.id]
            time.sleep(0.055)
            capture.release(frame)
    assert accounted == list(range(30))
    assert len(taken) < 15
    assert sorted(age for _, age in taken)[len(taken) // 2] < 0.055  # what waits in a queue is older than that


def test_a_file_is_played_at_its_own_rate_unless_every_frame_is_wanted(pictures: Path) -> None:
    def seconds(every_frame: bool, fps: float) -> float:
        with Capture(parse_source(str(pictures), fps=fps), every_frame) as capture:
            capture.wait_until_open(GO_ON)
            capture.start()
            times = []
            while frame := capture.next_frame(GO_ON):
                times.append(frame.captured_monotonic)
                capture.release(frame)
        return times[-1] - times[0]

    assert 11 / 20 - 0.1 < seconds(every_frame=False, fps=20) < 2
    assert seconds(every_frame=True, fps=2) < 11 / 2 / 2


def test_pictures_of_another_size_in_mid_stream_arrive_whole(pictures: Path) -> None:
    other = Size(48, 40)
    cv2.imwrite(str(pictures / "frame5.png"), numbered_frame(5, other))
    with Capture(parse_source(str(pictures)), every_frame=True) as capture:
        capture.wait_until_open(GO_ON)
        capture.start()
        while frame := capture.next_frame(GO_ON):
            expected = numbered_frame(frame.id, other if frame.id == 5 else VIDEO_SIZE)
            np.testing.assert_array_equal(frame.picture, expected)
            capture.release(frame)


def test_pictures_of_mixed_sizes_are_not_read_far_ahead(tmp_path: Path) -> None:
    for index in range(40):
        cv2.imwrite(str(tmp_path / f"{index}.png"), numbered_frame(index, Size(40 + index % 2, 60)))
    with Capture(parse_source(str(tmp_path)), every_frame=True) as capture:
        capture.wait_until_open(GO_ON)
        capture.start()
        time.sleep(0.5)
        assert len(capture._ready) <= SLOTS
        seen = 0
        while frame := capture.next_frame(GO_ON):
            seen += 1
            capture.release(frame)
    assert seen == 40


def test_a_loop_whose_file_has_gone_is_an_error_not_an_end(video: Path) -> None:
    with Capture(parse_source(str(video), loop=True), every_frame=True) as capture:
        capture.wait_until_open(GO_ON)
        capture.start()
        video.unlink()
        with pytest.raises(SourceError, match="cannot be opened again"):
            drain(capture)


def test_kept_frames_are_repeated_from_memory(pictures: Path) -> None:
    source = replace(parse_source(str(pictures), loop=True), keep=5)
    with Capture(source, every_frame=True) as capture:
        capture.wait_until_open(GO_ON)
        for path in pictures.iterdir():
            path.unlink()
        capture.start()
        for index in range(12):
            frame = capture.next_frame(GO_ON)
            assert frame is not None
            np.testing.assert_array_equal(frame.picture, numbered_frame(index % 5))
            capture.release(frame)


@pytest.mark.usefixtures("process")
def test_while_frames_are_being_kept_the_capture_process_says_that_it_lives(pictures: Path) -> None:
    """All of them may take longer than a first frame is waited for: 30 drawn ones of 3840x2160 do."""
    source = replace(parse_source(str(pictures)), keep=7)
    said = []
    with CaptureProcess(MAX_PIXELS) as process:
        process.open(
            json.dumps({"source": source.to_dict(), "every_frame": True, "frozen_s": 0.0, "plausibility": False}), False
        )
        while (received := process.receive(60.0)) and received[0][:1] != wire.FORMAT:
            said.append(received[0][:1])
        assert received is not None
        os.close(received[1][0])
    assert said == [wire.OPENING] * 8


def test_a_name_with_a_colon_is_a_file_not_a_protocol(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video.rename(tmp_path / "2026-11-20T10:15:00.avi")
    monkeypatch.chdir(tmp_path)
    with Capture(parse_source("2026-11-20T10:15:00.avi")) as capture:
        assert capture.wait_until_open(GO_ON) == VIDEO_SIZE


def test_a_loop_begins_again(pictures: Path) -> None:
    with Capture(parse_source(str(pictures), loop=True), every_frame=True) as capture:
        capture.wait_until_open(GO_ON)
        capture.start()
        for expected in range(30):
            frame = capture.next_frame(GO_ON)
            assert frame is not None
            assert frame.id == expected
            np.testing.assert_array_equal(frame.picture, numbered_frame(expected % 12))
            capture.release(frame)


def test_a_file_that_is_no_video_is_an_error_of_the_source(tmp_path: Path) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"\x00" * 44)
    with Capture(parse_source(str(path))) as capture, pytest.raises(SourceError, match=r"broken\.mp4.*not a video"):
        capture.wait_until_open(GO_ON)


@pytest.mark.parametrize("broken", [(3,), (0, 7, 11)])
def test_pictures_that_cannot_be_read_are_passed_over_named_and_counted(
    pictures: Path, broken: tuple[int, ...]
) -> None:
    for index in broken:
        path = pictures / f"frame{index}.png"
        path.write_bytes(path.read_bytes()[:20])
    with Capture(parse_source(str(pictures)), every_frame=True) as capture:
        capture.wait_until_open(GO_ON)
        capture.start()
        seen = []
        while frame := capture.next_frame(GO_ON):
            seen.append(frame.picture.copy())
            capture.release(frame)
        said = "\n".join(capture.take_news())
    whole = [index for index in range(12) if index not in broken]
    np.testing.assert_array_equal(seen, [numbered_frame(index) for index in whole])
    assert capture.health.damaged == len(broken)
    assert all(f"frame{index}.png (damaged (cut short" in said for index in broken), said


def test_a_folder_of_nothing_but_broken_pictures_is_an_error(pictures: Path) -> None:
    for path in pictures.iterdir():
        path.write_bytes(path.read_bytes()[:20])
    with Capture(parse_source(str(pictures))) as capture, pytest.raises(SourceError, match=r"frame11\.png: damaged"):
        capture.wait_until_open(GO_ON)


@pytest.mark.parametrize(("kind", "loop"), [("video", False), ("pictures", True), ("scenes", True)])
def test_a_capture_process_that_is_killed_is_followed_by_one_that_goes_on_behind_its_last_frame(
    kind: str, loop: bool, video: Path, pictures: Path
) -> None:
    """Every frame of every pass comes once, whatever the three processes had read ahead."""
    source = {"video": str(video), "pictures": str(pictures), "scenes": "scenes://?size=128x72&frames=20"}[kind]
    count = {"video": 30, "pictures": 12, "scenes": 20}[kind]
    wanted = count * 2 + 5 if loop else count
    seen: list[bytes] = []
    with Capture(parse_source(source, loop=loop), every_frame=True) as capture:
        capture.wait_until_open(GO_ON)
        capture.start()
        while len(seen) < wanted and (frame := capture.next_frame(GO_ON)):
            seen.append(frame.picture.tobytes())
            assert frame.id == len(seen) - 1
            capture.release(frame)
            if len(seen) in (3, wanted // 2):  # more is left than any process reads ahead
                assert capture.pid is not None
                os.kill(capture.pid, signal.SIGKILL)
        if not loop:
            assert capture.next_frame(GO_ON) is None
        news = capture.take_news()
    assert len(set(seen)) == count
    assert seen == (seen[:count] * 3)[:wanted]
    assert [text.rpartition(" ")[0].rpartition("; ")[2] for text in news] == [
        "it goes on behind frame"
    ] * capture.health.deaths
    assert capture.health.deaths == 2


def test_a_frame_that_kills_every_process_ends_the_stream_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(module: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        return start_child("tests.helpers.poisoned_worker", *arguments, **options)

    monkeypatch.setattr(process, "start_child", start)
    with Capture(parse_source("scenes://?size=128x72&frames=20"), every_frame=True) as capture:
        capture.wait_until_open(GO_ON)
        capture.start()
        with pytest.raises(SourceError, match="ended by signal 6 without a word before frame 7; look for"):
            drain(capture)
    assert capture.health.deaths == 1


def test_a_stop_request_ends_the_wait_for_a_frame(video: Path) -> None:
    with Capture(parse_source(str(video))) as capture:
        capture.wait_until_open(GO_ON)  # never started, so no frame comes
        stop = threading.Event()
        threading.Timer(0.2, stop.set).start()
        assert capture.next_frame(stop) is None


def test_leaving_ends_the_capture_process(video: Path) -> None:
    with Capture(parse_source(str(video), loop=True)) as capture:
        capture.wait_until_open(GO_ON)
        pid = capture.pid
        assert pid is not None
    assert not is_running(pid)


def test_nothing_is_left_after_the_parent_is_killed(video: Path) -> None:
    program = textwrap.dedent(f"""
        import threading, time
        from edgeseg.runtime.capture.capture import Capture
        from edgeseg.runtime.sources.addresses import parse_source
        with Capture(parse_source({str(video)!r}, loop=True)) as capture:
            capture.wait_until_open(threading.Event())
            capture.start()
            print(capture.pid, flush=True)
            time.sleep(60)
    """)
    segments = set(os.listdir("/dev/shm"))
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert is_running(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert wait_until(lambda: not is_running(child))
    assert set(os.listdir("/dev/shm")) <= segments


def test_opening_and_closing_again_and_again_leaks_no_descriptors(pictures: Path) -> None:
    def open_and_close() -> None:
        with Capture(parse_source(str(pictures)), every_frame=True) as capture:
            capture.wait_until_open(GO_ON)
            capture.start()
            frame = capture.next_frame(GO_ON)
            assert frame is not None
            capture.release(frame)

    open_and_close()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        open_and_close()
    assert len(os.listdir("/proc/self/fd")) == before
