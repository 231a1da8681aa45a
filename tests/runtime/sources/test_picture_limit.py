"""Pictures that state more than anybody has room for."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg.core.errors import SourceError
from edgeseg.core.geometry import Size
from edgeseg.runtime.capture.capture import Capture
from edgeseg.runtime.settings import CaptureSettings
from edgeseg.runtime.sources.addresses import parse_source
from tests.helpers.camera_servers import MjpegCamera
from tests.helpers.large_pictures import png_of

LARGE = Size(30000, 30000)
NEVER = threading.Event()
# Prints the KiB that the command and what it waited for had at most. A process begins with the peak of who started it:
# a small one does.
_MEASURED = """
import os, sys
_, status, usage = os.wait4(os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:]), 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def refused(source: str, max_pixels: int) -> str:
    settings = CaptureSettings(give_up_s=0, max_pixels=max_pixels)
    with Capture(parse_source(source), settings=settings) as capture, pytest.raises(SourceError) as caught:
        capture.wait_until_open(NEVER)
    return str(caught.value)


def test_a_large_picture_costs_one_line_and_no_memory(tmp_path: Path, write_model: Callable[..., Path]) -> None:
    """It took 3.6 GB in the capture process before."""
    picture = tmp_path / "large.png"
    picture.write_bytes(png_of(LARGE))
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, sys.executable, "-m", "edgeseg.runtime", str(picture),
         "--model", str(write_model()), "--backend", "onnxruntime-cpu", "--quiet"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "larger than 33177600 pixels, which --max-pixels allows" in done.stderr
    assert int(done.stdout) < 2**20


def test_what_a_video_states_and_what_a_camera_sends_are_limited(video: Path) -> None:
    assert "pictures of 128x72; expected at most 9000 pixels" in refused(str(video), 9000)
    with MjpegCamera() as camera:
        assert "larger than 9000 pixels, which" in refused(camera.uri, 9000)
    assert "pictures of 99999x99999" in refused("scenes://?size=99999x99999", 2**30)


def test_a_video_of_other_pictures_than_it_states_is_refused_at_the_first(tmp_path: Path) -> None:
    path = tmp_path / "lying.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 10, (640, 480))
    for grey in (10, 90):
        writer.write(np.full((480, 640, 3), grey, np.uint8))
    writer.release()
    stated = (640).to_bytes(4, "little") + (480).to_bytes(4, "little")
    content = path.read_bytes()
    assert stated in content
    path.write_bytes(content.replace(stated, (64).to_bytes(4, "little") + (48).to_bytes(4, "little")))
    assert "pictures of 640x480; expected at most 9000 pixels" in refused(str(path), 9000)


def test_the_limit_can_be_raised_and_what_is_within_it_passes(tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(png_of(Size(100, 200)))
    assert "larger than 19999 pixels" in refused(str(picture), 19999)
    with Capture(parse_source(str(picture)), settings=CaptureSettings(max_pixels=20000)) as capture:
        assert capture.wait_until_open(NEVER) == Size(100, 200)
