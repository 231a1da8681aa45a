"""edgeseg-camera as its user runs it: in a process of its own."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

WriteModel = Callable[..., Path]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "edgeseg.runtime", *(str(argument) for argument in arguments)]


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=60)


def assert_one_line(stderr: str, *said: str) -> None:
    assert len(stderr.strip().splitlines()) == 1, stderr
    assert "Traceback" not in stderr
    for text in said:
        assert text in stderr


def test_a_video_gives_summary_statistics_and_overlay(video: Path, write_model: WriteModel, tmp_path: Path) -> None:
    done = call(
        video, "--model", write_model(), "--every-frame", "--threads", 1, "--stats", tmp_path / "s.jsonl",
        "--summary", tmp_path / "summary.json", "--output", f"file://{tmp_path}/overlay.mp4",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ms/frame (p50)" in done.stdout
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["frames"] == {"captured": 30, "processed": 30, "skipped": 0, "stale": 0, "failed": 0}
    assert {"source", "model", "backend", "device", "precision", "seconds", "fps"} <= summary.keys()
    for stage in ("capture_to_mask", "wait", "preprocess", "inference", "postprocess", "output"):
        assert {"mean", "p50", "p90", "p99", "max"} <= summary["latency_ms"][stage].keys()
    assert len((tmp_path / "s.jsonl").read_text().splitlines()) == 30
    assert (tmp_path / "overlay.mp4").stat().st_size > 1000


def test_the_built_in_drive_streams(write_model: WriteModel) -> None:
    done = call("scenes://?size=128x72&frames=5", "--model", write_model(), "--every-frame")
    assert done.returncode == 0, done.stderr
    assert "5 captured = 5 processed" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_a_playable_recording(
    video: Path, write_model: WriteModel, tmp_path: Path, number: signal.Signals
) -> None:
    overlay, summary = tmp_path / "overlay.mp4", tmp_path / "summary.json"
    stats = tmp_path / "stats.jsonl"
    process = subprocess.Popen(
        command(video, "--loop", "--model", write_model(), "--output", overlay, "--summary", summary, "--stats", stats),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    end = time.monotonic() + 30
    while time.monotonic() < end and not (overlay.exists() and overlay.stat().st_size):
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 0, stderr
    assert "captured" in stdout
    frames = json.loads(summary.read_text())["frames"]
    assert frames["captured"] == len(stats.read_text().splitlines()) > 0
    capture = cv2.VideoCapture(str(overlay))
    assert capture.read()[0]


def test_a_killed_capture_process_ends_it_with_code_3_and_its_figures(
    video: Path, write_model: WriteModel, tmp_path: Path
) -> None:
    stats = tmp_path / "stats.jsonl"
    process = subprocess.Popen(
        command(video, "--loop", "--source-rate", 500, "--model", write_model(), "--stats", stats),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    end = time.monotonic() + 30
    while time.monotonic() < end and not (stats.exists() and stats.stat().st_size):
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 1
    subprocess.run(["kill", "-KILL", children[0]], check=True)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 3
    assert "captured" in stdout
    assert_one_line(stderr, "ended by signal 9")


def test_what_is_wrong_with_source_model_or_output_is_said_in_one_line(
    video: Path, write_model: WriteModel, tmp_path: Path
) -> None:
    model = write_model()
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\x00")
    half = tmp_path / "half.onnx"
    half.write_bytes(model.read_bytes()[:200])
    earlier = tmp_path / "overlay.mkv"
    earlier.write_bytes(b"an earlier recording")
    file = tmp_path / "file"
    file.touch()
    for code, said, arguments in (
        (3, "not a video", (broken, "--model", model, "--output", earlier)),
        (3, "no such file or folder", (tmp_path / "none.mp4", "--model", model, "--output", earlier)),
        (2, "bare number", (0, "--model", model)),
        (4, "cannot load", (video, "--model", half, "--output", earlier)),
        (4, "no such file", (video, "--model", tmp_path / "none.onnx")),
        (2, "cannot be written", (video, "--model", model, "--output", file / "overlay.mkv")),
        (2, "cannot be written", (video, "--model", model, "--summary", file / "summary.json")),
        (2, "cannot be written", (video, "--model", model, "--stats", file / "stats.jsonl")),
        (2, "No such option", (video, "--model", model, "--bogus")),
        (2, "not in the range", (video, "--model", model, "--threads", 0)),
        (2, "Missing option", (video,)),
    ):
        done = call(*arguments)
        assert done.returncode == code, (arguments, done.stderr)
        assert_one_line(done.stderr, said)
    assert earlier.read_bytes() == b"an earlier recording"


def test_the_process_holds_no_tensorflow(write_model: WriteModel) -> None:
    program = (
        "import sys; sys.argv = ['edgeseg-camera', 'scenes://?size=128x72&frames=2', '--model', "
        f"{str(write_model())!r}, '--quiet']\n"
        "from edgeseg.runtime.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'tensorflow', 'keras', 'onnx', 'tf2onnx', 'matplotlib', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
