"""The driver asked for its device: a missing driver for real, and drivers compiled to answer as others do."""

from __future__ import annotations

import ctypes.util
import shutil
import subprocess
from pathlib import Path

import pytest

from edgeseg.runtime.machine import gpu
from edgeseg.runtime.machine.gpu import Gpu, NoGpuError, find_gpu, no_gpu

COMPILER = shutil.which("cc")
DRIVER = r"""
#include <string.h>
#include <stddef.h>
int cuInit(unsigned flags) { return INIT; }
int cuDeviceGetCount(int *count) { *count = COUNT; return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetName(char *name, int length, int device) { strncpy(name, "Orin", length); return 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = 8ull << 30; return 0; }
int cuDeviceGetAttribute(int *value, int number, int device) {
    *value = number == 16 ? 8 : number == 18 ? 1 : number == 75 ? 8 : number == 76 ? 7 : -1;
    return 0;
}
int cuGetErrorString(int code, const char **text) { *text = "no CUDA-capable device is detected"; return 0; }
"""


def driver(folder: Path, init: int, count: int) -> str:
    """Compile a driver that answers like a Jetson's, or like one without a device."""
    source = folder / "driver.c"
    source.write_text(DRIVER)
    path = folder / f"driver{init}{count}.so"
    assert COMPILER
    command = [COMPILER, "-shared", "-fPIC", f"-DINIT={init}", f"-DCOUNT={count}", "-o", str(path), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return str(path)


needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler to make a driver with")


@pytest.mark.usefixtures("process")
def test_without_a_driver_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    if ctypes.util.find_library("cuda"):
        monkeypatch.setattr(gpu, "DRIVER", "libcuda-that-is-not-there.so.1")
    with pytest.raises(NoGpuError, match=r"no NVIDIA driver here: libcuda.* cannot be loaded"):
        find_gpu()
    assert "no NVIDIA driver" in (no_gpu() or "")


@needs_compiler
def test_a_driver_without_a_device_is_told_from_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "DRIVER", driver(tmp_path, init=100, count=0))
    with pytest.raises(NoGpuError, match=r"cuInit: no CUDA-capable device is detected, error 100"):
        find_gpu()
    monkeypatch.setattr(gpu, "DRIVER", driver(tmp_path, init=0, count=0))
    with pytest.raises(NoGpuError, match="has 0 devices"):
        find_gpu()


@needs_compiler
def test_a_device_is_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "DRIVER", driver(tmp_path, init=0, count=1))
    assert find_gpu() == Gpu("Orin", "8.7", 8, 8192, integrated=True)
    assert no_gpu() is None
    with pytest.raises(NoGpuError, match="has 1 devices; expected at least 2"):
        find_gpu(1)
