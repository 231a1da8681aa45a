"""What `edgeseg doctor` finds on whole machines, on lacking ones, and on ones made of a few files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeseg.runtime import doctor, machine
from edgeseg.runtime.findings import STATES, Finding, Patient

ABSENT = {
    "opencv": "cv2",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "tensorrt": "tensorrt",
    "tensorrt_rtx": "tensorrt_rtx",
    "pycuda": "pycuda",
}


def probes(**found: dict[str, Any]) -> Callable[[str], dict[str, Any]]:
    return lambda name: found.get(name, {"error": f"ModuleNotFoundError: No module named {ABSENT[name]!r}"})


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.what: finding for finding in findings}


@pytest.fixture
def jetson(tmp_path: Path) -> Path:
    """The files of an Orin Nano with JetPack 6 and one camera."""
    for path, content in {
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
        "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic\n",
        "etc/os-release": 'PRETTY_NAME="Ubuntu 22.04.5 LTS"\n',
        "proc/meminfo": "MemTotal: 7802368 kB\nMemAvailable: 512000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
        "sys/class/devfreq/17000000.gpu/min_freq": "306000000\n",
        "sys/class/devfreq/17000000.gpu/max_freq": "624750000\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
        "dev/video0": "",
        "usr/local/cuda/bin/nvcc": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    return tmp_path


def test_a_jetson_is_described_and_what_keeps_its_gpu_idle_is_named(jetson: Path) -> None:
    patient = Patient(
        jetson,
        probes(
            opencv={"version": "4.8.0", "file": "/usr/lib/python3/dist-packages/cv2.so", "gstreamer": True},
            onnxruntime={"version": "1.20.0", "providers": {"CPUExecutionProvider": ""}},
            tensorrt={"version": "10.3.0", "builder": True},
        ),
    )
    found = by_name(doctor.examine(patient))
    assert "Orin Nano" in found["machine"].found
    assert found["JetPack"].found == "JetPack 6, L4T 36.4.3"
    assert found["memory"].state == "warning"
    assert found["GPU clock"].remedy == "sudo jetson_clocks while measuring"
    assert found["CPU governor"].found == "schedutil"
    assert found["cameras"].state == "good"
    assert found["Argus socket"].state == "warning"
    assert found["TensorRT"].state == "good"
    assert "nvcc must be on the PATH" in found["pycuda"].remedy
    assert (found["engine"].state, found["engine"].found) == ("missing", "only the CPU works")
    assert found["CUDA driver"].state == "missing"


def test_a_wheel_that_hides_jetpack_s_opencv_is_named(jetson: Path) -> None:
    """The wheel is the one that is installed here."""
    opencv = {"version": "4.13.0", "file": "/venv/cv2/__init__.py", "gstreamer": False}
    found = by_name(doctor.examine(Patient(jetson, probes(opencv=opencv))))["OpenCV"]
    assert found.state == "warning"
    assert "pip uninstall opencv-python" in found.remedy


def test_providers_that_do_not_load_and_broken_libraries_are_said_with_their_reason(tmp_path: Path) -> None:
    patient = Patient(
        tmp_path,
        probes(
            opencv={"error": "ImportError: libGL.so.1: cannot open shared object file"},
            onnxruntime={
                "version": "1.20.0",
                "providers": {"CUDAExecutionProvider": "does not load; CPUExecutionProvider took its place"},
            },
        ),
    )
    found = by_name(doctor.examine(patient))
    assert (found["OpenCV"].state, "libGL.so.1" in found["OpenCV"].found) == ("missing", True)
    assert "libgl1" in found["OpenCV"].remedy
    assert found["CUDAExecutionProvider"].state == "warning"
    assert found["engine"].state == "missing"


def test_a_check_that_fails_is_a_finding_and_the_others_go_on(tmp_path: Path) -> None:
    def broken(name: str) -> dict[str, Any]:
        raise RuntimeError("of all things\nthis")

    findings = doctor.examine(Patient(tmp_path, broken))
    found = by_name(findings)
    assert "RuntimeError: of all things this" in found["engines"].found
    assert "training side" in found
    assert all(finding.state in STATES for finding in findings)
    assert "\n" not in "".join(finding.found + finding.remedy for finding in findings)


@pytest.mark.parametrize(
    ("content", "reason"),
    [("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "killed by signal 11"),
     ("raise ImportError('libonnxruntime.so: undefined symbol')", "undefined symbol"),
     ("import sys; sys.exit('no\\nprovider')", "exit code 1 provider")],
)  # fmt: skip
def test_a_library_that_breaks_as_it_loads_breaks_nothing_here(
    content: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime.py").write_text(content)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert reason in str(machine.probe("onnxruntime")["error"])


def test_a_library_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pycuda.py").write_text("import time; time.sleep(100)")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(machine, "PROBE_SECONDS", 2.0)
    assert machine.probe("pycuda") == {"error": "no answer within 2 s"}


def test_onnx_runtime_really_computes_on_what_is_called_good() -> None:
    found = machine.probe("onnxruntime")
    assert found["providers"]["CPUExecutionProvider"] == ""  # type: ignore[index]


def test_the_command_ends_with_1_where_nothing_can_run(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgeseg", "doctor"]
    whole = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "CPUExecutionProvider" in whole.stdout
    for library in ("onnxruntime", "openvino"):
        (tmp_path / library).mkdir()
        (tmp_path / library / "__init__.py").write_text("raise ImportError('half installed')")
    lacking = subprocess.run(
        [*command, "--json"], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(tmp_path)}
    )
    assert (lacking.returncode, lacking.stderr) == (1, "")
    found = {finding["what"]: finding for finding in json.loads(lacking.stdout)}
    assert "half installed" in found["ONNX Runtime"]["found"]
    assert "force-reinstall" in found["ONNX Runtime"]["remedy"]
    assert found["engine"]["state"] == "missing"
