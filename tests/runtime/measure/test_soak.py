"""Soaks: verdicts on runs that throttle, slow down or leak, and a real one that leaks by a real fault."""

from __future__ import annotations

import csv
import json
import math
import mmap
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from edgeseg.commands.main import cli
from edgeseg.core.errors import UsageError
from edgeseg.runtime.engines.backends.onnxruntime_cpu import OnnxRuntimeCpu
from edgeseg.runtime.machine.nvml import POWER_CAP
from edgeseg.runtime.machine.processes import descendants
from edgeseg.runtime.measure.soak import SoakRecorder, Window, window_seconds
from edgeseg.runtime.measure.soak_verdict import growth, judge

WriteModel = Callable[..., Path]
MINUTES = 20
N = 6 * MINUTES


def windows(**changes: Callable[[float], Any]) -> list[Window]:
    """Twenty minutes of a device at work, a window of ten seconds each; `changes` give a value for a minute."""
    random = np.random.default_rng(0)
    found = []
    for index in range(N):
        minute = (index + 1) / 6
        p50 = 12.0 + random.normal(0, 0.15)
        values = {name: change(minute) for name, change in changes.items()}
        p50 *= values.pop("slower", 1.0)
        usual = {
            "memory_mb": 180 + random.normal(0, 0.5), "handles": 14.0, "threads": 12.0, "gpu_mhz": 624.75,
            "hottest_c": 60.0, "others": 0.01,
        }  # fmt: skip
        found.append(Window(minute, 800, {"p50": p50, "p99": 1.2 * p50, "max": 30.0}, **{**usual, **values}))
    return found


def test_a_quiet_run_is_stable() -> None:
    found = judge(windows())
    assert found.is_stable
    assert str(found) == "stable"


@pytest.mark.parametrize("reason", ["gpu-throttle-alert", "over-current", "too hot (hardware slowdown)"])
def test_what_the_device_says_of_its_throttling_counts_from_its_first_minute(reason: str) -> None:
    found = judge(windows(throttling=lambda minute: (reason,) if 6 < minute < 9 else ()))
    assert found.throttled_from == pytest.approx(6.2, abs=0.1)
    assert str(found) == f"throttled from minute 6.2 ({reason})"
    assert not found.is_stable


def test_frames_that_slow_down_as_the_clock_falls_are_throttled() -> None:
    found = judge(
        windows(
            slower=lambda minute: 1.4 if minute > 12 else 1.0,
            gpu_mhz=lambda minute: 420.0 if minute > 12 else 624.75,
        )
    )
    assert found.throttled_from == pytest.approx(12, abs=0.2)
    assert "slower; GPU clock fell from 625 to 420 MHz" in str(found)


def test_a_power_limit_counts_only_where_frames_slow_down_as_it_comes() -> None:
    assert judge(windows(throttling=lambda minute: (POWER_CAP,))).is_stable
    slow = {"slower": lambda minute: 1.2 if minute > 5 else 1.0}
    limited = judge(windows(**slow, throttling=lambda minute: (POWER_CAP,) if minute > 5 else ()))
    assert limited.throttled_from == pytest.approx(5, abs=0.2)
    assert POWER_CAP in str(limited)


def test_frames_that_slow_down_without_a_sign_are_slower_and_others_are_named() -> None:
    slow: dict[str, Callable[[float], Any]] = {"slower": lambda minute: 1.3 if minute > 15 else 1.0}
    assert "neither clocks nor the device give a reason" in str(judge(windows(**slow)))
    disturbed = judge(windows(**slow, others=lambda minute: 0.4 if minute > 15 else 0.0))
    assert disturbed.throttled_from is None
    assert disturbed.slower_from == pytest.approx(15, abs=0.2)
    assert "others took 40% of the machine: it was not quiet" in str(disturbed)
    silent = judge(windows(**slow, gpu_mhz=lambda minute: None, hottest_c=lambda minute: None))
    assert "tells neither clocks nor temperature" in str(silent)


def test_masks_that_stop_coming_are_said() -> None:
    silent = [replace(each, frames=0, frame_ms={}) if each.minute > 10 else each for each in windows()]
    assert "slower from minute 10.0 (no masks any more" in str(judge(silent))
    assert judge([replace(each, frame_ms={}) for each in windows()]).is_stable  # seen from outside, without times


def test_a_disturbance_that_passes_is_none() -> None:
    assert judge(windows(slower=lambda minute: 2.0 if 8 < minute < 10 else 1.0)).is_stable


def test_a_leak_is_told_from_what_is_taken_once() -> None:
    leaking = judge(windows(memory_mb=lambda minute: 180 + 0.5 * minute))
    assert leaking.leaking
    assert "memory grew by 9." in str(leaking)
    assert "in 18." in str(leaking)
    assert judge(windows(memory_mb=lambda minute: 180 + (30 if minute > 8 else 0))).is_stable
    assert judge(windows(memory_mb=lambda minute: 180 + 8 * (1 - math.exp(-minute)))).is_stable  # caches that fill
    assert judge(windows(memory_mb=lambda minute: 180 + 0.2 * minute)).is_stable  # 4 MB in all
    assert "file handles grew" in str(judge(windows(handles=lambda minute: float(14 + minute // 4))))
    assert "GPU memory grew" in str(judge(windows(gpu_memory_mib=lambda minute: 900 + 5 * minute)))


def test_growth_is_what_was_held_later_beside_what_was_held_when_it_had_settled() -> None:
    run = windows(memory_mb=lambda minute: 100.0 if minute < 1 else 150.0 + (2.5 if minute > 10 else 0.0))
    assert growth(run)["memory_mb"] == {"first": 150.0, "most": 152.5, "grew": 2.5}
    assert growth([]) == {}


def test_too_few_windows_are_no_verdict() -> None:
    few = windows()[:8]
    for found in (judge([]), judge(few)):
        assert not found.is_stable
        assert "not known" in str(found)
    assert judge([replace(each, throttling=("over-current",)) for each in few]).throttled_from is not None
    assert "too_few" in judge(few).to_dict()


def test_watching_begins_with_the_first_frame() -> None:
    with SoakRecorder(os.getpid(), 0.2, from_first=True) as recorder:
        time.sleep(0.6)
        assert recorder.windows == []
        recorder.add(5.0, 4.0)
        wait_for_windows(recorder, 1)
        assert recorder.windows[0].frames == 1
    with SoakRecorder(os.getpid(), 0.2, from_first=True) as never:
        pass
    assert never.windows == []


def test_windows_are_few_however_long_the_soak() -> None:
    assert window_seconds(20 * 60) == 10
    assert window_seconds(30) == 1
    assert window_seconds(1) == 0.5
    assert 24 * 3600 / window_seconds(24 * 3600) <= 720


def wait_for_windows(recorder: SoakRecorder, more: int) -> None:
    wanted, end = len(recorder.windows) + more, time.monotonic() + 60
    while len(recorder.windows) < wanted:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_process_that_leaks_is_seen_from_outside() -> None:
    program = "import time\nkept = []\nwhile True:\n    kept.append(bytearray(b'x' * 400_000)); time.sleep(0.05)"
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        with SoakRecorder(process.pid, 0.3) as recorder:
            wait_for_windows(recorder, 14)
        process.kill()
    assert len(recorder.windows) >= 12
    found = judge(recorder.windows)
    assert "memory grew" in str(found)
    assert all(window.frame_ms == {} and window.handles == 3 for window in recorder.windows)


def test_what_the_device_tells_comes_into_the_windows(tmp_path: Path) -> None:
    files = {
        name: tmp_path / name
        for name in ("sys/class/thermal/cooling_device0/cur_state", "sys/class/hwmon/hwmon0/oc1_event_cnt")
    }
    alert, events = files.values()
    for path in files.values():
        path.parent.mkdir(parents=True)
        path.write_text("0")
    alert.with_name("type").write_text("gpu-throttle-alert")
    with SoakRecorder(os.getpid(), 0.3, tmp_path) as recorder:
        wait_for_windows(recorder, 1)
        alert.write_text("1")
        wait_for_windows(recorder, 3)
        alert.write_text("0")
        events.write_text("3")
        wait_for_windows(recorder, 2)
    reasons = [window.throttling for window in recorder.windows]
    assert reasons[0] == ()
    assert ("gpu-throttle-alert",) in reasons
    assert [reason for each in reasons for reason in each].count("over-current") == 1
    assert judge(recorder.windows).throttled_from is not None


def soaked(*arguments: object) -> list[str]:
    return ["benchmark", *map(str, arguments), "--backend", "onnxruntime-cpu", "--threads", "1"]


@pytest.mark.usefixtures("process")
def test_the_command_says_what_became_of_it_and_writes_it(
    pictures: Path, write_model: WriteModel, tmp_path: Path
) -> None:
    model = write_model()
    files = {name: tmp_path / f"soak.{name}" for name in ("json", "csv", "plot", "html")}
    outputs = [part for name, path in files.items() for part in (f"--{name}", str(path))]
    options = ["--source", pictures, "--soak", "0.08", "--camera-rate", "50", "--output", f"{tmp_path}/masks/"]
    done = CliRunner().invoke(cli, soaked(model, *options, *outputs), catch_exceptions=False, standalone_mode=False)
    found = json.loads(files["json"].read_text())
    verdict = found["soak"]["verdict"]
    assert done.return_value == (0 if verdict["stable"] else 1)
    assert done.stdout.startswith(verdict["text"])
    assert not verdict["leaking"]
    summary = found["summary"]
    assert summary["frames"]["captured"] / summary["seconds"] == pytest.approx(50, rel=0.3)
    assert found["soak"]["minutes_done"] == pytest.approx(0.08, rel=0.3)
    assert any((tmp_path / "masks").rglob("*.png"))
    index, first = next((i, window) for i, window in enumerate(found["soak"]["windows"]) if window["frames"] > 5)
    assert first["frames"] < 100  # at full speed it would be hundreds
    assert 0 < first["inference_ms"]["p50"] <= first["frame_ms"]["p50"]
    assert first["own_mb"] > 50
    assert first["children_mb"] > 10  # the capture process
    rows = list(csv.DictReader(files["csv"].read_text().splitlines()))
    assert len(rows) == len(found["soak"]["windows"])
    assert float(rows[index]["p50"]) == first["frame_ms"]["p50"]
    assert files["plot"].read_bytes().startswith(b"\x89PNG")
    assert verdict["text"] in files["html"].read_text()


@pytest.mark.usefixtures("process")
def test_an_engine_that_leaks_is_said_and_ends_with_1(
    pictures: Path, write_model: WriteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, kept, began = OnnxRuntimeCpu._infer, list[mmap.mmap](), time.monotonic()

    def infer(self: OnnxRuntimeCpu, value: NDArray[np.uint8]) -> Any:
        while len(kept) * 0.2 < time.monotonic() - began:
            kept.append(mmap.mmap(-1, 2_000_000))  # 2 MB each 0.2 s, and none that an earlier test has freed
            kept[-1].write(bytes([1]) * 2_000_000)
        return real(self, value)

    monkeypatch.setattr(OnnxRuntimeCpu, "_infer", infer)
    monkeypatch.setattr("edgeseg.runtime.measure.soak.SHORTEST_WINDOW_S", 0.2)
    options = ["--source", pictures, "--soak", "0.1", "--camera-rate", "20"]
    done = CliRunner().invoke(cli, soaked(write_model(), *options), catch_exceptions=False, standalone_mode=False)
    assert "leaking: memory grew by" in done.stdout.splitlines()[0]
    assert done.return_value == 1


@pytest.mark.usefixtures("process")
def test_an_output_that_fails_is_said_and_ends_with_2(pictures: Path, write_model: WriteModel, tmp_path: Path) -> None:
    cv2.imwrite(str(pictures / "wide.png"), np.zeros((72, 256, 3), np.uint8))  # a video holds one size
    written = [part for name in ("json", "html") for part in (f"--{name}", tmp_path / f"soak.{name}")]
    options = ["--source", pictures, "--soak", "0.02", "--output", tmp_path / "overlay.mkv", *written]
    done = CliRunner().invoke(cli, soaked(write_model(), *options), catch_exceptions=False, standalone_mode=False)
    assert done.return_value == 2
    assert "was given up: frames changed from 128x72 to 256x72" in done.stdout
    (failure,) = json.loads((tmp_path / "soak.json").read_text())["soak"]["failures"]
    assert "overlay.mkv was given up" in failure
    assert "overlay.mkv was given up" in (tmp_path / "soak.html").read_text()


@pytest.mark.usefixtures("process")
def test_a_soak_too_short_to_judge_says_so(pictures: Path, write_model: WriteModel) -> None:
    options = ["--source", pictures, "--soak", "0.005"]
    done = CliRunner().invoke(cli, soaked(write_model(), *options), catch_exceptions=False, standalone_mode=False)
    assert done.return_value == 1
    assert done.stdout.startswith("not known: 0 windows")
    assert "does not tell" not in done.stdout


def test_a_soak_that_is_stopped_is_judged_by_what_there_is(
    pictures: Path, write_model: WriteModel, tmp_path: Path
) -> None:
    result = tmp_path / "soak.json"
    command = [sys.executable, "-m", "edgeseg", *soaked(write_model(), "--source", pictures, "--soak", 60)]
    with subprocess.Popen([*command, "--json", str(result)], stdout=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 30
        while not descendants(process.pid) and time.monotonic() < end:  # the capture process
            time.sleep(0.05)
        time.sleep(1.5)
        os.kill(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "minutes" in said
    assert json.loads(result.read_text())["soak"]["minutes"] == 60


def test_a_soak_takes_one_model_and_no_rounds(pictures: Path, write_model: WriteModel) -> None:
    model = write_model()
    for arguments, reason in (
        ([model, model], "2 models on 1 backends"),
        ([model, "--rounds", "3"], "--rounds"),
        ([model, "--layers"], "--layers"),
        ([model, "--backend", "openvino"], "1 models on 2 backends"),
    ):
        with pytest.raises(UsageError, match=reason) as caught:
            CliRunner().invoke(cli, soaked(*arguments, "--soak", "1"), catch_exceptions=False)
        assert "expected one model on one backend" in str(caught.value)


def test_a_window_s_document_is_json() -> None:
    window = replace(windows()[0], throttling=("over-current",), temperatures_c={"cpu": 50.0})
    assert json.loads(json.dumps(window.to_dict()))["throttling"] == ["over-current"]
