"""Overlay recordings: their quota, a full disk, and what a SIGKILL leaves."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg.core.errors import UsageError
from edgeseg.core.geometry import Size
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.records import FrameRecord
from edgeseg.runtime.settings import SinkSettings
from edgeseg.runtime.sinks.base import Delivery, Playback, Sink
from edgeseg.runtime.sinks.open import open_sink
from edgeseg.runtime.sinks.segments import Quota, Segments, parse_quota

WriteModel = Callable[..., Path]
PICTURE = Size(360, 640)


def frames_in(path: Path) -> int:
    capture, count = cv2.VideoCapture(str(path)), 0
    while capture.read()[0]:
        count += 1
    return count


def record(sink: Sink, count: int, seed: int = 0, each: Callable[[], None] = lambda: None) -> None:
    """Write noise, which compresses badly: some 58 kB a frame."""
    noise = np.random.default_rng(seed).integers(0, 256, (4, *PICTURE, 3), dtype=np.uint8)
    for index in range(count):
        sink.write(Delivery(FrameRecord(index, 0.0), index / 10, noise[index % 4], np.zeros((32, 64), np.uint8)))
        each()


def recorder(path: Path, spec: ModelSpec, quota: str | None) -> Sink:
    settings = SinkSettings(opacity=0.2, quota=quota)
    return open_sink(str(path), spec, PICTURE, Playback(10.0, keep_time=False), settings)


@pytest.mark.parametrize(
    ("text", "quota"), [("90min", Quota(5400, True)), ("1.5 h", Quota(5400, True)), ("20gb", Quota(20e9, False))]
)
def test_a_quota_is_a_time_or_a_size(text: str, quota: Quota) -> None:
    assert parse_quota(text) == quota


@pytest.mark.parametrize("text", ["90", "min", "-5min", "5parsecs", "1MB", "3s", "nan h", ""])
def test_a_quota_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"90min or 20GB|at least"):
        parse_quota(text)


@pytest.mark.usefixtures("patience")
def test_a_size_quota_is_never_exceeded_and_the_newest_is_kept(tmp_path: Path, colour_spec: ModelSpec) -> None:
    other = tmp_path / "o-notes.mkv"
    other.write_text("not a segment")
    totals = []
    sink = recorder(tmp_path / "o.mkv", colour_spec, "10MB")
    record(sink, 300, each=lambda: totals.append(sum(path.stat().st_size for path in tmp_path.glob("o-0*.mkv"))))
    sink.close()
    kept = sorted(tmp_path.glob("o-0*.mkv"))
    assert 5e6 < max(totals) <= 10e6
    assert kept[0].name != "o-000001.mkv"  # the oldest has gone
    numbers = [int(path.stem[-6:]) for path in kept]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert all(frames_in(path) > 0 for path in (kept[0], kept[-1]))
    assert other.exists()
    assert not (tmp_path / "o.mkv").exists()


@pytest.mark.usefixtures("patience")
def test_a_time_quota_keeps_that_much_video_over_several_runs(tmp_path: Path, colour_spec: ModelSpec) -> None:
    for run in range(2):
        sink = recorder(tmp_path / "o.mkv", colour_spec, "10s")
        record(sink, 70, seed=run)
        sink.close()
    kept = sorted(tmp_path.glob("o-*.mkv"))
    counts = [frames_in(path) for path in kept]
    assert [path.name for path in kept] == [f"o-{number:06d}.mkv" for number in range(5, 15)]
    assert counts == [10] * 10


def test_segments_are_told_from_other_files_and_sorted_by_number(tmp_path: Path) -> None:
    for name in ("o-999999.mkv", "o-1000000.mkv", "o-12.mkv", "po-000001.mkv", "o-000001.mp4", "o-000002.mkv"):
        (tmp_path / name).touch()
    segments = Segments(tmp_path / "o.mkv", Quota(1e9, False))
    assert [path.name for path in segments.found()] == ["o-000002.mkv", "o-999999.mkv", "o-1000000.mkv"]
    assert segments.next_path().name == "o-1000001.mkv"


def test_a_killed_run_leaves_a_matroska_file_that_plays_but_for_its_last_256_kilobytes(
    write_model: WriteModel, tmp_path: Path
) -> None:
    recording, stats, pictures = tmp_path / "o.mkv", tmp_path / "s.jsonl", tmp_path / "pictures"
    pictures.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (3, *PICTURE, 3), dtype=np.uint8)
    for index, picture in enumerate(noise):
        cv2.imwrite(str(pictures / f"{index}.jpg"), picture)
    process = subprocess.Popen(
        [sys.executable, "-m", "edgeseg.runtime", str(pictures), "--loop", "--every-frame", "--quiet",
         "--model", str(write_model(PICTURE)), "--output", str(recording), "--stats", str(stats)],
    )  # fmt: skip
    end = time.monotonic() + 40
    while not stats.exists() or stats.read_text().count("\n") < 60:
        assert time.monotonic() < end
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert recording.stat().st_size >= 2**19
    assert frames_in(recording) >= 40


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_power_cut_takes_only_the_end_of_a_recording(tmp_path: Path, colour_spec: ModelSpec) -> None:
    """A copy of the disk's image, taken while it is in use, holds what a disk holds whose power went at that moment."""
    disk, cut, place = tmp_path / "disk.img", tmp_path / "cut.img", tmp_path / "mounted"
    place.mkdir()
    subprocess.run(["truncate", "-s", "64M", str(disk)], check=True)
    made = shutil.which("mkfs.ext4") and not subprocess.run(["mkfs.ext4", "-q", str(disk)]).returncode
    if not made or subprocess.run(["mount", "-o", "loop", str(disk), str(place)], capture_output=True).returncode:
        pytest.skip("mounting an image of a disk needs root, mkfs.ext4 and a loop device")
    try:
        sink = recorder(place / "o.mkv", colour_spec, None)
        record(sink, 130, each=lambda: time.sleep(0.04))
        shutil.copyfile(disk, cut)
        sink.close()
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
    subprocess.run(["mount", "-o", "loop", str(cut), str(place)], check=True)
    try:
        assert frames_in(place / "o.mkv") >= 30
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_ends_a_recording_that_has_no_quota(small_disk: Path, colour_spec: ModelSpec) -> None:
    sink = recorder(small_disk / "o.mkv", colour_spec, None)
    with pytest.raises(UsageError, match="disk is full"):
        record(sink, 250)
    sink.close()
    assert frames_in(small_disk / "o.mkv") > 30


def test_on_a_full_disk_a_recording_with_a_quota_gives_up_its_oldest(small_disk: Path, colour_spec: ModelSpec) -> None:
    sink = recorder(small_disk / "o.mkv", colour_spec, "20MB")
    record(sink, 250)
    sink.close()
    kept = sorted(small_disk.glob("o-*.mkv"))
    assert kept[0].name != "o-000001.mkv"
    assert os.statvfs(small_disk).f_bavail > 0
    assert frames_in(kept[-1]) > 0
