"""What `edgeseg doctor` finds on whole machines, on lacking ones, and on ones made of a few files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeseg.runtime.doctor.examine import examine
from edgeseg.runtime.doctor.findings import STATES, Finding, MachineUnderTest
from edgeseg.runtime.engines.manifest import EngineKey, EngineManifest, file_sha256, manifest_path
from edgeseg.runtime.machine import facts
from edgeseg.runtime.machine.gpu import Gpu, NoGpuError
from tests.helpers.colour_model import COLOUR_SPEC
from tests.helpers.places import ROOT

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
    machine = MachineUnderTest(
        jetson,
        probes(
            opencv={"version": "4.8.0", "file": "/usr/lib/python3/dist-packages/cv2.so", "gstreamer": True},
            onnxruntime={"version": "1.20.0", "providers": {"CPUExecutionProvider": ""}},
            tensorrt={"version": "10.3.0", "builder": True},
        ),
    )
    found = by_name(examine(machine))
    assert "Orin Nano" in found["machine"].found
    assert found["JetPack"].found == "JetPack 6.2, L4T 36.4.3"
    assert found["memory"].state == "warning"
    assert found["GPU clock"].remedy == "sudo jetson_clocks while measuring"
    assert found["CPU governor"].found == "schedutil"
    assert found["cameras"].state == "good"
    assert found["Argus socket"].state == "warning"
    assert found["TensorRT"].state == "good"
    assert "nvcc must be on the PATH" in found["pycuda"].remedy
    assert (found["engine"].state, found["engine"].found) == ("missing", "only the CPU works")
    assert found["CUDA driver"].state == "missing"


def test_what_an_update_of_jetpack_would_break_is_said(jetson: Path) -> None:
    updates = [each.found for each in examine(MachineUnderTest(jetson, probes())) if each.what == "JetPack update"]
    (text,) = updates  # to 7.2 alone: 7.0 and 7.1 are Thor's, 7.2.2's TensorRT 11.4 is for AGX Orin
    assert text.startswith("to 7.2: Python 3.10 becomes 3.12")
    assert "TensorRT 10.3 becomes 10.16: engines are built anew" in text
    (jetson / "proc/device-tree/model").write_text("NVIDIA Jetson AGX Orin Developer Kit\0")
    (jetson / "etc/nv_tegra_release").write_text("# R36 (release), REVISION: 3.0, GCID: 1\n")
    found = examine(MachineUnderTest(jetson, probes()))
    assert [each.found.partition(":")[0] for each in found if each.what == "JetPack update"] == [
        "to 6.2", "to 7.2.2 (unconfirmed)",
    ]  # fmt: skip
    assert "for AGX Orin alone" in by_name(found)["DLA"].found


def test_a_tensorrt_without_code_for_the_gpu_is_a_warning_with_what_has(jetson: Path) -> None:
    orin = Gpu("Orin", "8.7", 8, 8192, integrated=True)
    pycuda = {"version": "2026.1", "devices": ["Orin, compute capability (8, 7)"]}
    for version, state, engine in (("10.13.2", "warning", "missing"), ("10.16.1", "good", "")):
        tensorrt = {"version": version, "builder": True}
        machine = MachineUnderTest(jetson, probes(tensorrt=tensorrt, pycuda=pycuda), first_gpu=lambda: orin)
        found = by_name(examine(machine))
        assert found["TensorRT"].state == state
        assert (found["engine"].state if "engine" in found else "") == engine
        assert state == "good" or "has no code for Orin's GPU" in found["TensorRT"].found


def test_a_wheel_that_hides_jetpack_s_opencv_is_named(jetson: Path) -> None:
    """The wheel is the one that is installed here."""
    opencv = {"version": "4.13.0", "file": "/venv/cv2/__init__.py", "gstreamer": False}
    found = by_name(examine(MachineUnderTest(jetson, probes(opencv=opencv))))["OpenCV"]
    assert found.state == "warning"
    assert "pip uninstall opencv-python" in found.remedy


def test_providers_that_do_not_load_and_broken_libraries_are_said_with_their_reason(tmp_path: Path) -> None:
    machine = MachineUnderTest(
        tmp_path,
        probes(
            opencv={"error": "ImportError: libGL.so.1: cannot open shared object file"},
            onnxruntime={
                "version": "1.20.0",
                "providers": {"CUDAExecutionProvider": "does not load; CPUExecutionProvider took its place"},
            },
        ),
    )
    found = by_name(examine(machine))
    assert (found["OpenCV"].state, "libGL.so.1" in found["OpenCV"].found) == ("missing", True)
    assert "libgl1" in found["OpenCV"].remedy
    assert found["CUDAExecutionProvider"].state == "warning"
    assert found["engine"].state == "missing"


def test_a_check_that_fails_is_a_finding_and_the_others_go_on(tmp_path: Path) -> None:
    def broken(name: str) -> dict[str, Any]:
        raise RuntimeError("of all things\nthis")

    findings = examine(MachineUnderTest(tmp_path, broken))
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
@pytest.mark.usefixtures("process")
def test_a_library_that_breaks_as_it_loads_breaks_nothing_here(
    content: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime.py").write_text(content)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert reason in str(facts.probe("onnxruntime")["error"])


@pytest.mark.usefixtures("process")
def test_a_library_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pycuda.py").write_text("import time; time.sleep(100)")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(facts, "PROBE_SECONDS", 2.0)
    assert facts.probe("pycuda") == {"error": "no answer within 2 s"}


@pytest.mark.usefixtures("process")
def test_onnx_runtime_really_computes_on_what_is_called_good() -> None:
    found = facts.probe("onnxruntime")
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


BASE = ("click", "numpy", "numpy.libs", "tomli")


def base_only(folder: Path) -> list[str]:
    """Return the start of a command whose Python finds edgeseg and what its base needs, and nothing else."""
    for name in BASE:
        found = next((each for each in map(Path, sys.path) if (each / name).exists()), None)
        if found:
            (folder / name).symlink_to(found / name)
            for info in found.glob(f"{name}-*.dist-info"):
                (folder / info.name).symlink_to(info)
    program = f"import sys; sys.path[:0] = {[str(ROOT), str(folder)]}; from edgeseg.commands.main import main; main()"
    return [sys.executable, "-I", "-S", "-c", program]


def test_with_nothing_but_the_base_it_says_what_to_install(tmp_path: Path) -> None:
    done = subprocess.run([*base_only(tmp_path), "doctor", "--json"], capture_output=True, text=True, cwd="/")
    assert (done.returncode, done.stderr) == (1, "")
    found = {finding["what"]: finding for finding in json.loads(done.stdout)}
    assert (found["OpenCV"]["state"], found["OpenCV"]["remedy"]) == ("missing", "pip install 'edgeseg[camera]'")
    assert (found["ONNX Runtime"]["state"], found["ONNX Runtime"]["found"]) == ("note", "not installed")
    assert (found["engine"]["state"], found["engine"]["remedy"]) == ("missing", "pip install 'edgeseg[cpu]'")
    assert (found["Python"]["state"], found["TensorRT"]["state"]) == ("good", "note")
    assert found["training side"]["found"] == "training not installed, export not installed"


def test_no_gpu_is_a_remark_on_a_computer_and_missing_on_a_jetson(
    tmp_path: Path, jetson: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "cuda_driver_version", lambda: "")
    works = probes(
        opencv={"version": "4.8.0", "file": "cv2.so", "gstreamer": True},
        onnxruntime={"version": "1.20.0", "providers": {"CPUExecutionProvider": ""}},
    )
    (tmp_path / "computer").mkdir()
    computer = by_name(examine(MachineUnderTest(tmp_path / "computer", works)))
    assert computer["GPU"] == Finding("GPU", "note", "no NVIDIA GPU or driver: models run on the CPU")
    assert not any(finding.state == "missing" for finding in computer.values())
    assert by_name(examine(MachineUnderTest(jetson, works)))["CUDA driver"].state == "missing"


ORIN = Gpu("Orin", "8.7", 8, 8192, integrated=True)
KEY = EngineKey("a" * 64, "tensorrt", "10.3.0", "Orin", 8, "8.7", "fp16", tf32=False)


def engine(path: Path, key: EngineKey) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"an engine")
    manifest_path(path).write_text(EngineManifest(key, file_sha256(path), COLOUR_SPEC).to_json())
    return path


def test_engines_that_are_stale_are_named_with_the_reason_and_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cached = engine(tmp_path / "cache/edgeseg/old-aaaa.engine", replace(KEY, version="8.6.1"))
    models = tmp_path / "models"
    engine(models / "good.engine", KEY)
    other = engine(models / "other.engine", replace(KEY, multiprocessors=16))
    cut = engine(models / "cut.engine", KEY)
    cut.write_bytes(b"an engi")
    (models / "without_manifest.engine").write_bytes(b"an engine")
    changed = engine(models / "changed.engine", KEY).with_suffix(".onnx")
    changed.write_bytes(b"another model")
    fresh = tmp_path / "fresh.onnx"
    fresh.write_bytes(b"a model")

    def found_by(machine: MachineUnderTest) -> dict[str, Finding]:
        findings = [each for each in examine(machine) if each.what == "engine file"]
        return {Path(finding.found.partition(":")[0]).name: finding for finding in findings}

    tensorrt = probes(tensorrt={"version": "10.3.0", "builder": True})
    machine = MachineUnderTest(tmp_path, tensorrt, (models, fresh), lambda: ORIN)
    found = found_by(machine)
    assert found["good.engine"] == Finding("engine file", "good", f"{models}/good.engine: holds")
    assert "built by tensorrt 8.6.1, here is 10.3.0" in found[cached.name].found
    assert f"delete {cached}" in found[cached.name].remedy
    assert "here is Orin (compute capability 8.7, 8 multiprocessors)" in found[other.name].found
    assert "not the file that was built" in found[cut.name].found
    assert "expected the manifest that edgeseg engine build writes" in found["without_manifest.engine"].found
    assert "built from another changed.onnx" in found["changed.engine"].found
    assert found["changed.engine"].remedy == f"edgeseg engine build {changed}"
    assert (found["fresh.onnx"].state, "no engine yet" in found["fresh.onnx"].found) == ("note", True)
    assert {finding.state for name, finding in found.items() if name not in ("good.engine", "fresh.onnx")} == {
        "warning"
    }

    def no_gpu() -> Gpu:
        raise NoGpuError("none")

    elsewhere = found_by(replace(machine, first_gpu=no_gpu))["good.engine"]
    assert (elsewhere.state, "here is no GPU" in elsewhere.found) == ("note", True)
    without = found_by(replace(machine, probe=probes()))["good.engine"]
    assert "tensorrt 10.3.0, which cannot be loaded here" in without.found


@pytest.mark.parametrize(
    ("said", "state"),
    [("OpenSSL 3.0.2 15 Mar 2022", "good"), ("OpenSSL 1.1.1f  31 Mar 2020", "note"), ("LibreSSL 3.9.0", "note")],
)
def test_openssl_that_verifies_bundles_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, state: str
) -> None:
    program = tmp_path / "openssl"
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = by_name(examine(MachineUnderTest(tmp_path, probes())))["OpenSSL"]
    assert (found.state, found.found) == (state, said)
    assert ("3.0 or newer" in found.remedy) == (state != "good")
    program.unlink()
    assert by_name(examine(MachineUnderTest(tmp_path, probes())))["OpenSSL"].found == "not found"
