"""An engine that hangs ends the process with code 5 within 5 seconds, whatever it holds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgeseg.runtime.engines.watchdog import Watchdog
from tests.helpers.colour_model import write_colour_model
from tests.helpers.places import ROOT

PROGRAM = ["-m", "tests.helpers.hanging_engine"]


def alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("engine", "said", "where"),
    [
        ("Hanging", "the engine has not answered for 3.5 s", ["hang"]),
        ("HangingWithTheInterpreter", "", []),  # nobody is left to say it
        ("HangingAtTheEnd", "the engine has not answered for 3.5 s", ["close"]),
    ],
)
def test_it_ends_with_code_5_within_5_seconds(tmp_path: Path, engine: str, said: str, where: list[str]) -> None:
    model, stats = write_colour_model(tmp_path / "model.onnx"), tmp_path / "stats.jsonl"
    process = subprocess.Popen(
        [sys.executable, *PROGRAM, engine, "scenes://?size=128x72&fps=30", "--model", str(model),
         "--backend", "onnxruntime-cpu", "--stats", str(stats)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    end = time.monotonic() + 60
    while time.monotonic() < end and not (stats.exists() and stats.stat().st_size):
        time.sleep(0.01)
    tasks = Path(f"/proc/{process.pid}/task")
    children = [child for task in tasks.iterdir() for child in (task / "children").read_text().split()]
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 5, stderr
    (hung_at,) = [float(line.split()[-1]) for line in stderr.splitlines() if line.startswith("hangs at")]
    assert time.monotonic() - hung_at < 5
    assert said in stderr
    places = re.findall(r'hanging_engine\.py", line \d+ in (\w+)$', stderr, re.MULTILINE)
    assert places[:1] == where  # the innermost call comes first
    assert "Traceback" not in stderr
    assert children
    end = time.monotonic() + 2  # the kernel ends them after their parent
    while any(alive(child) for child in children):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert json.loads(stats.read_text().splitlines()[0])["status"] == "ok"


@pytest.mark.parametrize("log", [[], ["--log-json"]])
def test_an_engine_whose_remains_abort_the_process_ends_with_code_5_and_all_is_said(
    tmp_path: Path, log: list[str]
) -> None:
    model, stats, summary = write_colour_model(tmp_path / "model.onnx"), tmp_path / "stats", tmp_path / "summary.json"
    command = ["AbortingAtExit", "scenes://?size=128x72&fps=30", "--model", model, "--backend", "onnxruntime-cpu"]
    command += ["--stats", stats, "--summary", summary, *log]
    said = tmp_path / "said"
    with said.open("w") as file:  # what is buffered for a file is lost unless it is flushed
        done = subprocess.run(
            [sys.executable, *PROGRAM, *map(str, command)], stdout=file, stderr=file, cwd=ROOT, timeout=100
        )
    assert done.returncode == 5, said.read_text()
    assert "an illegal memory access" in said.read_text().splitlines()[-1]
    statuses = [json.loads(line)["status"] for line in stats.read_text().splitlines()]
    assert "failed" in statuses
    assert json.loads(summary.read_text())["frames"]["failed"] == statuses.count("failed")


def test_runs_in_time_are_left_alone_and_slow_machines_get_more_of_it() -> None:
    watchdog = Watchdog(limit_s=1.0)
    try:
        for _ in range(8):
            with watchdog:
                time.sleep(0.05)
        time.sleep(1.7)  # between runs nothing is watched
        watchdog.allow(1.5)
        with watchdog:
            time.sleep(1.7)
    finally:
        watchdog.close()


def test_a_closed_watchdog_leaves_no_thread_and_no_timer() -> None:
    before = len(os.listdir("/proc/self/task"))
    watchdogs = [Watchdog(limit_s=1.0) for _ in range(20)]
    for watchdog in watchdogs:
        with watchdog:
            pass
        watchdog.close()
    time.sleep(1.8)  # a timer that was left armed would end the tests here
    assert len(os.listdir("/proc/self/task")) <= before + 1  # the C library keeps one thread for its timers
