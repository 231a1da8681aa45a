"""edgeseg-camera as its user runs it: in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from edgeseg.core.geometry import Size

WriteModel = Callable[..., Path]


def command(*arguments: object) -> list[str]:
    """On the one engine that every computer has: `auto` would say why it passed over the others."""
    given = [str(argument) for argument in arguments]
    return [sys.executable, "-m", "edgeseg.runtime", "--backend", "onnxruntime-cpu", *given]


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=120)


def remarks(stderr: str) -> list[str]:
    """All lines but those that say every 10 s how a run goes: on a busy machine a short one is long."""
    return [line for line in stderr.strip().splitlines() if " fps " not in line and line != "no mask yet"]


def assert_one_line(stderr: str, *said: str) -> None:
    assert len(remarks(stderr)) == 1, stderr
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
    end = time.monotonic() + 90
    while not (overlay.exists() and overlay.stat().st_size):
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=90)
    assert process.returncode == 0, stderr
    assert "captured" in stdout
    frames = json.loads(summary.read_text())["frames"]
    assert frames["captured"] == len(stats.read_text().splitlines()) > 0
    capture = cv2.VideoCapture(str(overlay))
    assert capture.read()[0]


def wait_until_caught(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    """Wait until the process has a handler of its own for a signal."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        caught = next(line.split()[1] for line in status if line.startswith("SigCgt:"))
        if int(caught, 16) >> (number - 1) & 1:
            return
        time.sleep(0.02)
    raise AssertionError(f"{number} is not caught")


def started(stats: Path) -> bool:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        if stats.exists() and stats.stat().st_size:
            return True
        time.sleep(0.05)
    return False


def test_a_supervisor_s_sigterm_to_the_whole_group_is_a_clean_stop(
    video: Path, write_model: WriteModel, tmp_path: Path
) -> None:
    stats = tmp_path / "stats.jsonl"
    process = subprocess.Popen(
        command(video, "--loop", "--model", write_model(), "--stats", stats),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert started(stats)
    os.killpg(process.pid, signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=90)
    assert process.returncode == 0, stderr
    assert "captured" in stdout


def test_a_stop_before_the_first_frame_is_a_clean_stop(write_model: WriteModel) -> None:
    model = write_model()
    process = subprocess.Popen(
        command("scenes://?size=8000x8000", "--model", model), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until_caught(process, signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=90)
    assert process.returncode == 0, stderr


def test_no_output_is_written_over_an_input_or_another_output(
    video: Path, pictures: Path, write_model: WriteModel, tmp_path: Path
) -> None:
    model = write_model()
    before = video.read_bytes()
    (tmp_path / "link.avi").symlink_to(video)
    for arguments in (
        (video, "--output", video),
        (video, "--output", tmp_path / "link.avi"),
        (video, "--summary", model),
        (pictures, "--output", f"{pictures}/"),
        (f"{pictures}/*.png", "--output", f"{pictures}/"),
        (video, "--output", tmp_path / "o.mkv", "--output", f"file://{tmp_path}/o.mkv"),
        (video, "--output", "display://", "--output", "display://0"),
        (video, "--stats", tmp_path / "s", "--summary", tmp_path / "s"),
    ):
        done = call(*arguments, "--model", model, "--every-frame")
        assert done.returncode == 2, arguments
        assert_one_line(done.stderr, "a place of its own")
    assert video.read_bytes() == before


def test_a_recording_that_the_disk_does_not_take_is_a_failure(write_model: WriteModel, tmp_path: Path) -> None:
    """A limit on file size stands for the full disk: OpenCV's writer reports neither."""
    source = "scenes://?size=320x180&frames=150"
    line = " ".join(
        command(f"'{source}'", "--every-frame", "--model", write_model(Size(180, 320)), "--output", tmp_path / "o.avi")
    )
    done = subprocess.run(["bash", "-c", f"ulimit -f 1500; {line}"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    assert_one_line(done.stderr, "end of the recording could not be written")
    assert "150 captured = 150 processed" in done.stdout


@pytest.mark.parametrize("option", ["--stats", "--summary"])
def test_a_pipe_that_nobody_reads_holds_nobody_up(
    video: Path, write_model: WriteModel, tmp_path: Path, option: str
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    run = (video, "--every-frame", "--quiet", "--model", write_model(), option, pipe)
    done = call(*run)
    assert done.returncode == 2
    assert_one_line(done.stderr, "a pipe that nobody reads")
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True)
    with subprocess.Popen(command(*run)) as camera:
        text, _ = reader.communicate(timeout=90)
    assert camera.returncode == 0
    assert '"frame": 29' in text if option == "--stats" else json.loads(text)["frames"]["processed"] == 30


def test_a_full_log_does_not_end_the_camera_and_a_full_stdout_is_said(
    video: Path, write_model: WriteModel, tmp_path: Path
) -> None:
    summary = tmp_path / "summary.json"
    camera = [*command(video, "--every-frame", "--model", write_model(), "--summary", summary)]
    with open("/dev/full", "w") as full:
        assert subprocess.run(camera, stderr=full, stdout=subprocess.DEVNULL).returncode == 0
        assert json.loads(summary.read_text())["frames"]["processed"] == 30
        summary.unlink()
        done = subprocess.run(camera, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert_one_line(done.stderr, "standard output cannot be written")
    assert json.loads(summary.read_text())["frames"]["processed"] == 30
    summary.unlink()
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(camera, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, remarks(done.stderr)) == (0, [])
    assert json.loads(summary.read_text())["frames"]["processed"] == 30


def test_a_file_goes_on_when_its_capture_process_is_killed_and_that_is_said(
    video: Path, write_model: WriteModel, tmp_path: Path
) -> None:
    stats = tmp_path / "stats.jsonl"
    process = subprocess.Popen(
        command(video, "--loop", "--source-rate", 500, "--model", write_model(), "--stats", stats),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert started(stats)
    tasks = Path(f"/proc/{process.pid}/task").iterdir()
    children = [child for task in tasks for child in (task / "children").read_text().split()]
    assert len(children) == 1
    subprocess.run(["kill", "-KILL", children[0]], check=True)
    before, end = stats.read_text().count("\n"), time.monotonic() + 60
    while stats.read_text().count("\n") < before + 5:
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=90)
    assert process.returncode == 0
    assert "captured" in stdout
    assert_one_line(stderr, "ended by signal 9")
    assert "it goes on behind frame" in stderr


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
        (2, "not a whole number from 1 to 1024", (video, "--model", model, "--threads", 0)),
        (2, "no --model for", (video,)),
    ):
        done = call(*arguments)
        assert done.returncode == code, (arguments, done.stderr)
        assert_one_line(done.stderr, said)
    assert earlier.read_bytes() == b"an earlier recording"


def test_the_process_holds_no_tensorflow(write_model: WriteModel) -> None:
    program = (
        "import sys; sys.argv = ['edgeseg-camera', 'scenes://?size=128x72&frames=2', '--model', "
        f"{str(write_model())!r}, '--quiet']\n"
        "from edgeseg.runtime.commands.camera import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'tensorflow', 'keras', 'onnx', 'tf2onnx', 'matplotlib', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_terminal_that_hangs_up_ends_it_as_sigterm_does(write_model: WriteModel, tmp_path: Path) -> None:
    """The hang-up reaches the whole group; a service manager may say SIGTERM again while it ends."""
    stats, summary = tmp_path / "stats.jsonl", tmp_path / "summary.json"
    process = subprocess.Popen(
        command("scenes://?size=128x72", "--model", write_model(), "--stats", stats, "--summary", summary),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert started(stats)
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGTERM):
        os.killpg(process.pid, number)
    out, said = process.communicate(timeout=60)
    assert (process.returncode, "ms/frame (p50)" in out) == (0, True), said
    found = json.loads(summary.read_text())
    assert found["frames"]["processed"] > 0
    assert found["source_health"]["deaths"] == 0


def test_with_nohup_and_without_standard_streams_it_goes_on(write_model: WriteModel, tmp_path: Path) -> None:
    stats, summary = tmp_path / "stats.jsonl", tmp_path / "summary.json"
    words = command("scenes://?size=128x72", "--model", write_model(), "--stats", stats, "--summary", summary)
    process = subprocess.Popen(["bash", "-c", "trap '' HUP; exec \"$@\" <&- >&- 2>&-", "bash", *words])
    assert started(stats)
    process.send_signal(signal.SIGHUP)
    size = stats.stat().st_size
    end = time.monotonic() + 60
    while stats.stat().st_size == size:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert json.loads(summary.read_text())["frames"]["processed"] > 0
