"""The Python API as a user's script sees it."""

import gc
import os
import re
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import edgeseg.runtime
from edgeseg.core.errors import ModelError, SourceError, UsageError
from tests.helpers.places import ROOT

WriteModel = Callable[..., Path]


def children() -> set[str]:
    return {child for task in Path("/proc/self/task").iterdir() for child in (task / "children").read_text().split()}


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("edgeseg")]


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> object:
    before = children()
    yield
    gc.collect()
    assert children() <= before
    assert not threads()


def test_every_mask_of_a_video_comes_with_its_frame_and_its_age(video: Path, write_model: WriteModel) -> None:
    began = time.time()
    masks = edgeseg.runtime.stream(str(video), write_model(), every_frame=True, pictures=True)
    results = list(masks)
    assert [result.frame for result in results] == list(range(30))
    for result in results:
        assert (result.status, result.reason) == ("ok", None)
        assert result.class_map.shape == (32, 64)
        assert result.class_map[16].tolist()[::20] == [0, 0, 1, 2]
        assert 0 < result.ms["inference"] <= result.latency_ms <= result.age_ms
        assert began <= result.captured_at <= time.time()
    pictures = [result.picture for result in results if result.picture is not None]
    levels = [int(picture[36, 5, 1]) for picture in pictures]
    np.testing.assert_allclose(levels, range(20, 50), atol=3)  # each its own picture, not the last one's memory
    assert masks.summary is not None
    assert masks.summary.frames["processed"] == 30
    assert next(masks, None) is None


def test_a_slow_program_gets_the_newest_mask_and_is_told_what_it_missed(video: Path, write_model: WriteModel) -> None:
    with edgeseg.runtime.stream(str(video), write_model(), loop=True, source_rate=100) as masks:
        ids, fresh, looked = [], [], 0.0
        for result in masks:
            ids.append(result.frame)
            fresh.append(result.captured_monotonic > looked)  # what waited in a queue was captured before
            looked = time.monotonic()
            if len(ids) == 8:
                break
            time.sleep(0.2)
    assert ids == sorted(set(ids))
    assert ids[-1] - ids[1] > 30
    assert sum(fresh) > len(fresh) / 2
    assert masks.summary is not None
    assert masks.summary.outputs["python"]["missed"] > 0


def test_a_slow_program_misses_no_frame_of_a_file_that_it_wants_whole(
    video: Path, write_model: WriteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeseg.runtime.sinks.fan_out.FINISH_TIMEOUT_S", 0.6)
    ids = []
    for result in edgeseg.runtime.stream(str(video), write_model(), every_frame=True, frames=6):
        ids.append(result.frame)
        time.sleep(0.8)
    assert ids == list(range(6))


def test_a_stale_mask_says_so(video: Path, write_model: WriteModel) -> None:
    for result in edgeseg.runtime.stream(str(video), write_model(), every_frame=True, deadline_ms=1e-6, frames=3):
        assert (result.status, result.reason) == ("stale", "deadline")


def test_break_an_exception_and_a_dropped_stream_end_everything(video: Path, write_model: WriteModel) -> None:
    model = write_model()
    for _ in edgeseg.runtime.stream(str(video), model, loop=True):
        break
    gc.collect()
    assert not threads()
    files = len(os.listdir("/proc/self/fd"))

    def fail() -> None:
        with edgeseg.runtime.stream(str(video), model, loop=True) as masks:
            raise ZeroDivisionError(next(masks).frame)

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not threads()
    never_read = edgeseg.runtime.stream(str(video), model, loop=True)
    del never_read
    gc.collect()
    assert not threads()
    assert len(os.listdir("/proc/self/fd")) <= files


def test_what_fails_is_raised_where_the_program_iterates(video: Path, write_model: WriteModel, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        edgeseg.runtime.stream(str(tmp_path / "none.mp4"), write_model())
    with pytest.raises(ModelError, match="no such file"):
        next(edgeseg.runtime.stream(str(video), tmp_path / "none.onnx"))
    with pytest.raises(TypeError, match="deadlin"):
        edgeseg.runtime.stream(str(video), write_model(), deadlin_ms=5)


def test_an_output_that_fails_is_raised_behind_the_last_mask(
    pictures: Path, write_model: WriteModel, tmp_path: Path
) -> None:
    cv2.imwrite(str(pictures / "wide.png"), np.zeros((72, 256, 3), np.uint8))  # a video holds one size
    outputs = (str(tmp_path / "overlay.mkv"),)
    masks = edgeseg.runtime.stream(str(pictures), write_model(), every_frame=True, outputs=outputs)
    with pytest.raises(UsageError, match=r"overlay.mkv was given up: frames changed"):
        list(masks)
    assert masks.summary is not None
    assert masks.summary.frames["processed"] == 13


def test_the_script_in_the_documentation_runs_without_a_guard_and_leaves_nothing(
    video: Path, write_model: WriteModel, tmp_path: Path
) -> None:
    text = (ROOT / "docs" / "embedding.md").read_text()
    match = re.search(r"```python\n(import edgeseg\.runtime.*?)```", text, re.DOTALL)
    assert match
    script = match[1].replace("drive.mp4", str(video)).replace("model.onnx", str(write_model()))
    script = script.replace("deadline_ms=200", "deadline_ms=60_000")
    done = run_script(tmp_path, script + "raise SystemExit(7)\n")
    assert done.returncode == 7, done.stderr
    assert len(done.stdout.splitlines()) > 5
    assert done.stderr == ""


@pytest.mark.parametrize("end", ["os._exit(3)", "sys.exit(3)", "os.kill(os.getpid(), 9)"])
def test_no_process_outlives_a_script_that_just_ends(
    video: Path, write_model: WriteModel, tmp_path: Path, end: str
) -> None:
    script = f"""
        import os, sys, threading
        import edgeseg.runtime
        masks = edgeseg.runtime.stream({str(video)!r}, {str(write_model())!r}, loop=True)
        next(masks)
        tasks = os.listdir("/proc/self/task")
        print(*[child for task in tasks for child in open(f"/proc/self/task/{{task}}/children").read().split()])
        sys.stdout.flush()
        {end}
    """
    done = run_script(tmp_path, textwrap.dedent(script))
    assert done.returncode in (3, -9), done.stderr
    assert done.stderr == ""
    pids = done.stdout.split()
    assert pids
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_importing_the_package_imports_neither_opencv_nor_an_engine() -> None:
    program = "import sys, edgeseg.runtime; assert not {'cv2', 'numpy', 'onnxruntime'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
    with pytest.raises(AttributeError, match="nothing"):
        _ = edgeseg.runtime.nothing


def run_script(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    script = folder / "script.py"
    script.write_text(text)
    return subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
