"""Video files: when their frames are seen, what is said of them, and what they hold that cannot be decoded."""

import threading
import time
from pathlib import Path

import cv2
import pytest

from edgeseg.core.errors import SourceError
from edgeseg.core.geometry import Size
from edgeseg.runtime.capture.capture import Capture
from edgeseg.runtime.sources.addresses import parse_source
from edgeseg.runtime.sources.clocks import FileClock
from tests.helpers.damage import by_opencv, street
from tests.helpers.files.matroska import write_matroska

GO_ON = threading.Event()  # never set
SIZE = Size(60, 80)
AV1_FRAME = bytes.fromhex("0a0a00000002afff895f2008320f1000ac020514208100000324ffcc80")  # by SVT-AV1, 64x64


def pictures(count: int) -> list[bytes]:
    return [by_opencv(".jpg", street(SIZE.width, SIZE.height, seed)) for seed in range(count)]


def played(path: Path, every_frame: bool = False, fps: float | None = None) -> tuple[list[float], list[str]]:
    """Return when each frame was captured, in seconds from the first, and what was said."""
    with Capture(parse_source(str(path), fps=fps), every_frame) as capture:
        capture.wait_until_open(GO_ON)
        capture.start()
        times = []
        while frame := capture.next_frame(GO_ON):
            times.append(frame.captured_monotonic)
            capture.release(frame)
        return [each - times[0] for each in times], capture.take_news()


@pytest.mark.parametrize("start_ms", [0, 7000])
def test_a_file_plays_at_its_own_times(tmp_path: Path, start_ms: int) -> None:
    times_ms = [0, 40, 80, 120, 520, 560, 600, 1100]
    shifted = [start_ms + each for each in times_ms]
    write_matroska(tmp_path / "drive.mkv", pictures(8), shifted, SIZE, seconds=1.14 + start_ms / 1e3)
    seen, said = played(tmp_path / "drive.mkv")
    for due_ms, at_s in zip(times_ms, seen, strict=True):
        assert due_ms / 1e3 - 0.15 <= at_s < due_ms / 1e3 + 2  # at an even rate it would be over after 0.3 s
    assert not said  # it states more frames, at one rate, than it has


def test_a_rate_that_was_asked_for_counts_before_the_files_own_times(tmp_path: Path) -> None:
    write_matroska(tmp_path / "drive.mkv", pictures(6), [0, 1000, 2000, 3000, 4000, 5000], SIZE)
    seen, _ = played(tmp_path / "drive.mkv", fps=20)
    assert 0.2 < seen[-1] < 2


def test_a_file_that_is_cut_off_is_still_said_to_be(tmp_path: Path) -> None:
    write_matroska(tmp_path / "cut.mkv", pictures(10), range(0, 400, 40), SIZE, seconds=4.0)
    _, said = played(tmp_path / "cut.mkv", every_frame=True)
    assert "10 frames of the" in said[0]
    assert "cut off" in said[0]


def test_times_that_leap_or_go_back_are_followed_by_a_period() -> None:
    clock = FileClock(fps=10)
    positions = [5.0, 5.05, 5.25, 3605.0, 3605.1, 2.0, 2.0, None, 2.3]
    expected = [0.0, 0.05, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85]
    assert [clock.due(each) for each in positions] == pytest.approx(expected)


def test_a_frame_every_ten_seconds_is_no_leap() -> None:
    clock = FileClock(fps=0.1)
    assert [clock.due(each) for each in (0.0, 10.0, 22.0)] == pytest.approx([0.0, 10.0, 22.0])


def test_av1_without_a_decoder_is_said(tmp_path: Path) -> None:
    path = tmp_path / "drive.mkv"
    write_matroska(path, [AV1_FRAME], [0], Size(64, 64), codec="V_AV1")
    if cv2.VideoCapture(str(path), cv2.CAP_FFMPEG).read()[0]:
        pytest.skip("this OpenCV decodes AV1")
    with Capture(parse_source(str(path))) as capture, pytest.raises(SourceError, match="AV1 video, for which") as error:
        capture.wait_until_open(GO_ON, time.monotonic() + 20)
    assert "\n" not in str(error.value)


def test_what_cannot_be_decoded_is_passed_over_and_counted(tmp_path: Path) -> None:
    whole = pictures(12)
    damaged = [*whole[:4], b"\xff\xd8nothing", *whole[5:]]
    write_matroska(tmp_path / "drive.mkv", damaged, range(0, 480, 40), SIZE)
    seen, said = played(tmp_path / "drive.mkv", every_frame=True)
    assert len(seen) == 11
    assert "1 frames could not be decoded" in said[0]
