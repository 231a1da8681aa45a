"""The window, on a screen of its own where there is one: an X server without a screen (Xvfb) serves."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

WriteModel = Callable[..., Path]


@pytest.fixture
def screen() -> Iterator[dict[str, str]]:
    if not shutil.which("Xvfb"):
        pytest.skip("Xvfb is not installed: no screen to open a window on")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "800x600x24", "-nolisten", "tcp"],
        pass_fds=[write], stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write)
    with os.fdopen(read) as numbers:
        yield {**os.environ, "DISPLAY": f":{numbers.readline().strip()}"}
    server.kill()
    server.wait()


def start(video: Path, model: Path, environment: dict[str, str], *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "edgeseg.runtime", str(video), "--loop", "--model", str(model), *more,
         "--output", "display://", "--backend", "onnxruntime-cpu"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def window_process(camera: subprocess.Popen[str]) -> int:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        for child in subprocess.run(["pgrep", "-P", str(camera.pid)], capture_output=True, text=True).stdout.split():
            if b"window_process" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
        time.sleep(0.05)
    raise AssertionError("no window process")


@pytest.mark.parametrize(("name", "said"), [(None, "DISPLAY is not set"), (":9876", "no window opens on :9876")])
def test_without_a_screen_it_says_so_in_one_line(
    video: Path, write_model: WriteModel, name: str | None, said: str
) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    camera = start(video, write_model(), {**environment, **({"DISPLAY": name} if name else {})}, "--quiet")
    _, stderr = camera.communicate(timeout=40)
    assert camera.returncode == 2
    assert len(stderr.splitlines()) == 1
    assert said in stderr
    assert "overlay.mkv" in stderr


def test_a_window_shows_the_masks(screen: dict[str, str], video: Path, write_model: WriteModel) -> None:
    camera = start(video, write_model(), screen, "--frames", "60")
    stdout, stderr = camera.communicate(timeout=40)
    assert camera.returncode == 0, stderr
    line = next(line for line in stdout.splitlines() if line.startswith("output display://"))
    assert int(line.split()[2]) > 5


def test_a_window_that_dies_is_given_up_and_the_camera_goes_on(
    screen: dict[str, str], video: Path, write_model: WriteModel, tmp_path: Path
) -> None:
    stats = tmp_path / "s.jsonl"
    camera = start(video, write_model(), screen, "--seconds", "120", "--stats", str(stats))
    window = window_process(camera)
    while not stats.exists() or stats.read_text().count("\n") < 20:
        time.sleep(0.05)
        assert camera.poll() is None
    os.kill(window, 9)
    before, end = stats.read_text().count("\n"), time.monotonic() + 90
    while stats.read_text().count("\n") <= before + 10:
        assert time.monotonic() < end
        assert camera.poll() is None
        time.sleep(0.05)
    camera.send_signal(signal.SIGTERM)
    _, stderr = camera.communicate(timeout=40)
    assert camera.returncode == 2
    assert "display:// was given up: the window is gone" in stderr
