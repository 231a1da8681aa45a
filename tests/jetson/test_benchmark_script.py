"""benchmark.sh: what it sets it puts back, and its one result file holds all that it says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeseg.runtime.measure.benchmark_report import comparison, read_document
from tests.helpers.stub_bundle import JETSON
from tests.helpers.traps import Traps

WriteModel = Callable[..., Path]

# NVIDIA's programs as far as the script talks to them: the state is in files, each call is written down.
PROGRAMS = {
    "nvpmodel": """
case $1 in
  -q) echo; echo "NV Power Mode: MODE_$(cat "$STATE/mode")"; cat "$STATE/mode" ;;
  -m) [ "$2" = 9 ] || echo "$2" >"$STATE/mode" ;;
esac""",
    "jetson_clocks": """
case ${1:-lock} in
  --store) cp "$STATE/clocks" "$2" ;;
  --restore) cp "$2" "$STATE/clocks" ;;
  lock) echo locked >"$STATE/clocks" ;;
  --show) cat "$STATE/clocks" ;;
esac""",
    "tegrastats": "echo RAM 2000/7620MB GR3D_FREQ 0% cpu@45C",
    "systemctl": 'cat "$STATE/running"',
    "trtexec": """
echo "[I] Throughput: 123.45 qps"
echo "[I] GPU Compute Time: min = 7.1 ms, max = 9.3 ms, mean = 8.0 ms, percentile(99%) = 9.1 ms" """,
    # Engines cannot be built here: a file stands for each, and what is measured is the model it was built of.
    "edgeseg": """
case $1 in
  engine) cp "$3" "$5" ;;
  doctor) echo '[]' ;;
  benchmark)
    [ ! -f "$STATE/hang" ] || { touch "$STATE/hangs"; exec sleep 60; }
    if [ -f "$STATE/quick" ]; then
      for out in "$@"; do :; done
      echo '{"results": [{"summary": {"precision": "int8"}}]}' >"$out"
      exit
    fi
    cp "$2" "${2%.*}.onnx"
    model=${2%.*}.onnx
    shift 2
    exec "$REAL_PYTHON" -m edgeseg benchmark "$model" "$@" --backend onnxruntime-cpu --rounds 1 ;;
esac""",
    "python": 'exec "$REAL_PYTHON" "$@"',
}


class Board:
    def __init__(self, place: Path) -> None:
        self.place, self.state = place, place / "state"
        self.here = place  # the current folder
        programs, modules = place / "bin", place / "modules"
        for each in (self.state, programs, modules / "pycuda"):
            each.mkdir(parents=True)
        for name, text in PROGRAMS.items():
            (programs / name).write_text(f'#!/bin/sh\necho "{name} $*" >>"$STATE/calls"\n{text}\n')
            (programs / name).chmod(0o755)
        for module in ("tensorrt.py", "pycuda/__init__.py", "pycuda/driver.py"):
            (modules / module).touch()
        for name, content in (("mode", "2\n"), ("clocks", "free\n"), ("running", "")):
            (self.state / name).write_text(content)
        path = f"{programs}:{os.environ['PATH']}"
        own = {"STATE": str(self.state), "EDGESEG": str(programs / "edgeseg"), "REAL_PYTHON": sys.executable}
        self.environment = {**os.environ, **own, "PATH": path, "PYTHONPATH": str(modules), "TMPDIR": str(place)}

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", str(JETSON / "benchmark.sh"), *map(str, arguments)], env=self.environment, cwd=self.here,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def run(self, *arguments: object, code: int = 0) -> str:
        process = self.start(*arguments)
        said = process.communicate(timeout=300)[0]
        assert process.returncode == code, said
        return said

    @property
    def set_to(self) -> tuple[str, str]:
        return (self.state / "mode").read_text().strip(), (self.state / "clocks").read_text().strip()

    @property
    def calls(self) -> list[str]:
        return (self.state / "calls").read_text().splitlines()


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path / "board")


AS_BEFORE = ("2", "free")


def test_it_sets_measures_puts_back_and_writes_one_file(board: Board, write_model: WriteModel) -> None:
    out = board.place / "result.json"
    said = board.run(write_model(), "--out", out, "--seconds", "1", "--mode", "0", "--clocks")
    assert board.set_to == AS_BEFORE
    assert "not measured: fp16, int8" in said
    assert "Throughput: 123.45 qps" in said
    found = json.loads(out.read_text())
    notes, trtexec = found["jetson"]["notes"], found["jetson"]["trtexec"]["1-colours.engine"]
    assert notes["before.power_mode"].startswith("NV Power Mode: MODE_0")
    assert notes["before.clocks"] == notes["after.clocks"] == "locked"
    assert "cpu@45C" in notes["after.temperatures_and_power"]
    assert trtexec["frames_per_second"] == 123.45
    assert trtexec["gpu_compute_ms"] == {"min": 7.1, "max": 9.3, "mean": 8.0, "percentile(99%)": 9.1}
    assert not list(board.place.glob("tmp.*"))
    assert "colours.onnx on onnxruntime-cpu" in comparison(read_document(out), read_document(out))


def test_it_sets_nothing_unasked(board: Board, write_model: WriteModel) -> None:
    (board.state / "quick").touch()
    assert "not measured: fp32, fp16;" in board.run(write_model())
    assert len(list(board.place.glob("benchmark-*.json"))) == 1
    assert {call for call in board.calls if call.startswith(("nvpmodel", "jetson_clocks"))} <= {
        "nvpmodel -q",
        "jetson_clocks --show",
    }


def test_models_of_one_name_are_two_models(board: Board, write_model: WriteModel, tmp_path: Path) -> None:
    (board.state / "quick").touch()
    models = [tmp_path / precision / "model.onnx" for precision in ("fp32", "int8")]
    for model in models:
        model.parent.mkdir()
        model.write_text(model.parent.name)
    board.run(*models, "--out", tmp_path / "result.json")
    (call,) = (call for call in board.calls if call.startswith("edgeseg benchmark"))
    assert [Path(word).name for word in call.split()[2:4]] == ["1-model.engine", "2-model.engine"]
    found = json.loads((tmp_path / "result.json").read_text())["jetson"]["trtexec"]
    assert list(found) == ["1-model.engine", "2-model.engine"]


def test_what_it_set_is_put_back_when_measuring_fails(board: Board, tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_text("nothing")
    board.run(tmp_path / "bad.onnx", "--mode", "0", "--clocks", "--seconds", "1", code=4)
    assert "jetson_clocks" in [call.strip() for call in board.calls]
    assert board.set_to == AS_BEFORE
    assert not list(board.place.glob("*.json"))


def test_what_it_set_is_put_back_when_it_is_stopped(board: Board, write_model: WriteModel) -> None:
    (board.state / "hang").touch()
    process = board.start(write_model(), "--mode", "0", "--clocks")
    end = time.monotonic() + 90
    while not (board.state / "hangs").exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    assert board.set_to == ("0", "locked")
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(20) == 143
    assert board.set_to == AS_BEFORE


def test_a_result_that_could_not_be_written_is_said_before_anything_is_measured(
    board: Board, write_model: WriteModel, tmp_path: Path
) -> None:
    (board.state / "quick").touch()
    for out, said in (
        (tmp_path / "none" / "result.json", "cannot be written; give a file in a folder that is there"),
        (tmp_path, "is a folder; give a file name"),
    ):
        assert board.run(write_model(), "--out", out, code=1) == f"benchmark.sh: --out {out} {said}\n"
    assert not (board.state / "calls").exists() or not any("benchmark" in call for call in board.calls)
    assert "result: " in board.run(write_model(), "--out", tmp_path / "result.json")
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_it_measures_where_systemctl_is_installed_and_systemd_does_not_run(
    board: Board, write_model: WriteModel
) -> None:
    (board.state / "quick").touch()
    systemctl = board.place / "bin" / "systemctl"
    systemctl.write_text("#!/bin/sh\necho 'System has not been booted with systemd as init system' >&2\nexit 1\n")
    assert "result: " in board.run(write_model())


def test_a_mode_that_wants_a_reboot_and_a_camera_that_runs_are_refused(board: Board, write_model: WriteModel) -> None:
    assert "comes only with a reboot" in board.run(write_model(), "--mode", "9", code=1)
    assert board.set_to == AS_BEFORE
    (board.state / "running").write_text("edgeseg-camera@front.service loaded active running\n")
    assert "sudo systemctl stop edgeseg-camera@front.service" in board.run(write_model(), code=1)
    assert "expected a whole number" in board.run("--seconds", "long", code=2)


def test_it_runs_nothing_from_the_folder_that_it_is_started_in(
    board: Board, write_model: WriteModel, tmp_path: Path
) -> None:
    (board.state / "quick").touch()
    traps = Traps(tmp_path / "traps")
    board.here = traps.folder
    assert "result: " in board.run(write_model())
    assert [call for call in board.calls if call.startswith("edgeseg engine")]  # TensorRT was looked for, elsewhere
    assert traps.sprung == ""
