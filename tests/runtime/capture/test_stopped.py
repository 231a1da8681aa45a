"""A process that was stopped for a while, by a debugger or a container: no mask of before passes as one of now."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.camera_servers import MjpegCamera

STOPPED_S = 1.2  # less than --stall-seconds, so that nothing is opened again


def masks(stats: Path, behind: int = 0) -> list[dict[str, Any]]:
    """Return the records of masks from the line `behind` on."""
    lines = stats.read_text().split("\n")[:-1] if stats.exists() else []
    return [record for line in lines[behind:] if (record := json.loads(line))["status"] != "skipped"]


def wait_for(stats: Path, condition: Callable[[list[dict[str, Any]]], bool], behind: int = 0) -> list[dict[str, Any]]:
    end = time.monotonic() + 40
    while time.monotonic() < end:
        if condition(found := masks(stats, behind)):
            return found
        time.sleep(0.05)
    raise AssertionError("no such mask came")


def capture_of(pid: int) -> int:
    """Return the youngest child of a process: another may stand by while a camera is away, and none is here."""
    return max(
        int(each) for task in Path(f"/proc/{pid}/task").iterdir() for each in (task / "children").read_text().split()
    )


@pytest.mark.parametrize("whose", ["capture", "main"])
def test_the_first_mask_after_a_stop_is_stale(whose: str, write_model: Callable[..., Path], tmp_path: Path) -> None:
    stats = tmp_path / "stats.jsonl"
    with MjpegCamera() as camera:
        command = [sys.executable, "-m", "edgeseg.runtime", camera.uri, "--model", str(write_model())]
        command += ["--stats", str(stats), "--backend", "onnxruntime-cpu", "--quiet"]
        with subprocess.Popen(command) as process:
            try:
                wait_for(stats, lambda found: sum(each["status"] == "ok" for each in found) >= 20)
                stopped = process.pid if whose == "main" else capture_of(process.pid)
                os.kill(stopped, signal.SIGSTOP)
                time.sleep(STOPPED_S)
                behind = stats.read_text().count("\n") + 1  # one may have been under way
                os.kill(stopped, signal.SIGCONT)
                after = wait_for(stats, lambda found: any(each["status"] == "ok" for each in found[1:]), behind)
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(20)
    first = after[0]
    assert (first["status"], first["reason"]) == ("stale", "deadline"), after[:3]
    assert first["ms"]["capture_to_mask"] > 1e3 * (STOPPED_S - 0.4)
