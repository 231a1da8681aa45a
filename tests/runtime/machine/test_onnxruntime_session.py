"""A GPU provider that does not load, in a package that stands for ONNX Runtime's wheel for GPUs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# As onnxruntime 1.31 does: a provider whose library does not load is told to the default logger, and the session takes
# the next one; what fails otherwise is printed, and the CPU's provider takes its place.
PACKAGE = """
import contextlib, ctypes, os, sys
__version__ = "1.31.1"
severity = 2
class SessionOptions: pass
def set_default_logger_severity(number):
    global severity
    severity = number
def get_available_providers(): return ["CUDAExecutionProvider", "CPUExecutionProvider"]
def preload_dlls():
    print("Failed to load libcudart.so.13: no such file")
    print("Please follow https://onnxruntime.ai/docs/install/ to install CUDA and CuDNN.")
class InferenceSession:
    def __init__(self, source, options=None, providers=(), enable_fallback=1):
        first = providers[0] if isinstance(providers[0], str) else providers[0][0]
        self.providers = [first]
        if first == "CPUExecutionProvider":
            return
        if os.environ["FAULT"] == "driver":
            text = "CUDA failure 35: CUDA driver version is insufficient"
            if not enable_fallback:
                raise RuntimeError(text)
            print("*************** EP Error ***************", text, "Falling back to CPU")
            self.providers = ["CPUExecutionProvider"]
            return
        folder = os.path.dirname(__file__) + "/capi/"
        try:
            ctypes.CDLL(folder + "libonnxruntime_providers_cuda.so")
        except OSError as error:
            if severity <= 3:
                print("[E:onnxruntime:Default, provider_bridge_ort.cc]", error, file=sys.stderr)
            self.providers = ["CPUExecutionProvider"]
    def get_providers(self): return self.providers
    def run(self, names, feed):
        import numpy
        return [numpy.array([[0, 0, 1, 2]], numpy.float32)]
"""
PROBE = """
import json
from edgeseg.runtime.machine.probes import onnxruntime
print(json.dumps(onnxruntime()))
"""


@pytest.fixture
def wheel(tmp_path: Path) -> dict[str, str]:
    """The package, with a provider that needs a library that is not there."""
    package = tmp_path / "onnxruntime"
    (package / "capi").mkdir(parents=True)
    (package / "__init__.py").write_text(PACKAGE)
    provider = package / "capi/libonnxruntime_providers_cuda.so"
    compiler = shutil.which("cc")
    if compiler is None:
        provider.write_bytes(b"no library")
    else:
        for name, text, more in (
            ("libcublasLt.so.13", "int cublas(void) { return 0; }", []),
            (
                provider.name,
                "int cublas(void); int provider(void) { return cublas(); }",
                ["-L.", "-l:libcublasLt.so.13"],
            ),
        ):
            (tmp_path / "it.c").write_text(text)
            place = package / "capi" / name
            command = [compiler, "-shared", "-fPIC", "-o", str(place), str(tmp_path / "it.c"), *more]
            subprocess.run([*command, f"-Wl,-soname,{name}"], check=True, cwd=package / "capi")
        (package / "capi/libcublasLt.so.13").unlink()
    return {**os.environ, "PYTHONPATH": str(tmp_path), "FAULT": "libraries"}


def probed(environment: dict[str, str]) -> tuple[dict[str, str], str]:
    done = subprocess.run([sys.executable, "-c", PROBE], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1, done.stdout  # ONNX Runtime's own words are not among it
    found: dict[str, str] = json.loads(done.stdout)["providers"]
    return found, done.stderr


def test_a_missing_library_is_named(wheel: dict[str, str]) -> None:
    found, complaint = probed(wheel)
    assert found["CPUExecutionProvider"] == ""
    missing = "libcublasLt.so.13" if shutil.which("cc") else "libonnxruntime_providers_cuda.so"
    assert missing in found["CUDAExecutionProvider"]
    assert "does not load, CPUExecutionProvider would take its place" in found["CUDAExecutionProvider"]
    assert complaint == ""


def test_a_provider_that_fails_is_not_taken_for_one_that_works(wheel: dict[str, str]) -> None:
    found, complaint = probed(wheel | {"FAULT": "driver"})
    assert "CUDA driver version is insufficient" in found["CUDAExecutionProvider"]
    assert complaint == ""
