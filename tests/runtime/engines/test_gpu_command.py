"""`make test-gpu`, as far as it goes without a GPU: what it does with steps that crash, hang or have no engine."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgeseg.core.errors import EngineError
from edgeseg.runtime.engines.tensorrt_library import check_gpu_code
from edgeseg.runtime.machine.gpu import Gpu, no_gpu
from tests.helpers.gpu import cuda_stand_in, tensorrt_stand_in
from tests.helpers.places import ROOT

WriteModel = Callable[..., Path]
Capture = pytest.CaptureFixture[str]
COMMAND = ROOT / "benchmarks" / "on_gpu.py"
without_gpu = pytest.mark.skipif(not no_gpu(), reason="this computer has a GPU")
STEPS = """
import os, subprocess, sys, time
REHEARSAL = "EDGESEG_REHEARSAL"
def engines(): "Times."
def tests(): "Tests."
def cuda_graph(): "Graph."
def in_flight(): "In flight."
STEPS = {each.__name__: each for each in (engines, tests, cuda_graph, in_flight)}
if __name__ == "__main__":
    step = sys.argv[1]
    print(f"| {step} | done |", flush=True)
    if step == "tests":
        os.abort()
    if step == "cuda_graph":
        print(f"started {subprocess.Popen(['sleep', '1000']).pid}.", flush=True)
        time.sleep(100)
    if step == "in_flight":
        print("| tensorrt | FAILED: no memory |", flush=True)
        sys.exit(1)
"""


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200)


@without_gpu
def test_without_a_gpu_it_fails_in_one_line() -> None:
    done = call(COMMAND)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("make test-gpu needs an NVIDIA GPU: no NVIDIA driver here")
    assert done.stderr.count("\n") == 1


def test_a_step_that_crashes_hangs_or_fails_costs_no_other(tmp_path: Path) -> None:
    text = COMMAND.read_text()
    assert '"cuda_graph": 45' in text
    (tmp_path / "on_gpu.py").write_text(text.replace('"cuda_graph": 45', '"cuda_graph": 3'))
    (tmp_path / "on_gpu_steps.py").write_text(STEPS)
    out = tmp_path / "result.md"
    done = call(tmp_path / "on_gpu.py", "--rehearse", "--out", out)
    assert done.returncode == 1, done.stderr
    text = out.read_text()
    assert "## engines\n\nTimes. `python benchmarks/on_gpu.py --steps engines`" in text
    assert "| tests | done |\n\nIt ended with code -6" in text
    assert "Cut short after 3 s." in text
    (pid,) = re.findall(r"started (\d+)\.", text)
    assert not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_text()  # it holds no GPU
    assert "| in_flight | done |\n| tensorrt | FAILED: no memory |" in text
    late = call(tmp_path / "on_gpu.py", "--rehearse", "--out", out, "--steps", "engines", "--minutes", 0)
    assert late.returncode == 1, late.stderr
    assert "Not run: no time was left." in out.read_text()


@without_gpu
def test_what_the_computer_lacks_is_named_in_its_row(tmp_path: Path, write_model: WriteModel) -> None:
    done = call(COMMAND.with_name("on_gpu_steps.py"), "cuda_graph", tmp_path, write_model())
    assert done.returncode == 0, done.stderr
    for backend in ("tensorrt", "onnxruntime-cuda"):
        assert f"| {backend} | colours | skipped: no NVIDIA driver here" in done.stdout


def steps(monkeypatch: pytest.MonkeyPatch, backend: str) -> Any:
    """Return the steps, for one backend whose libraries are stand-ins."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    module = importlib.import_module("on_gpu_steps")
    monkeypatch.setattr(module, "backends", lambda: (backend,))
    monkeypatch.setattr(module, "lacking", lambda name: None)
    monkeypatch.setattr(module, "ROUNDS", 5)
    monkeypatch.setattr(module, "failures", [])
    return module


@pytest.mark.usefixtures("process")
def test_times_are_those_of_the_device_and_masks_are_held_against_the_cpu_s(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write_model: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    cuda_stand_in.use(monkeypatch)
    module = steps(monkeypatch, "onnxruntime-cuda")
    module.engines(tmp_path, [write_model()])
    row = r"\| onnxruntime-cuda \| colours \| [\d.]+ \| [\d.]+ \| 1\.000 \| 100\.000% \|"
    assert re.search(row, capsys.readouterr().out)
    cuda_stand_in.Session.run_error = RuntimeError("CUDA failure 700: an illegal memory access")
    module.cuda_graph(tmp_path, [write_model()])
    assert capsys.readouterr().out.count("FAILED: onnxruntime-cuda") == 2
    assert len(module.failures) == 2


@pytest.mark.usefixtures("process")
def test_two_frames_are_in_flight_where_they_are_said_to_be(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write_model: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_model()
    tensorrt_stand_in.use(monkeypatch, path)
    steps(monkeypatch, "tensorrt").in_flight(tmp_path, [path])
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split(" | ")[2] for row in rows] == ["1", "2"]
    assert all(float(row.split(" | ")[3].rstrip("| ")) > 0 for row in rows)


def test_a_gpu_that_tensorrt_rtx_does_not_know_is_told_with_those_that_it_does() -> None:
    capabilities = SimpleNamespace(SM75=0, SM86=1, SM120=2, CURRENT=3)
    rtx = SimpleNamespace(__name__="tensorrt_rtx", __version__="1.7.1", ComputeCapability=capabilities)
    check_gpu_code(rtx, Gpu("RTX A2000", "8.6", 26, 12000, integrated=False))
    with pytest.raises(EngineError, match=r"knows no GPU of compute capability 9.0: 7.5, 8.6, 12.0$"):
        check_gpu_code(rtx, Gpu("NVIDIA H200", "9.0", 132, 140000, integrated=False))
