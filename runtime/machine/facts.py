"""What machine this is: facts read from files and small programs, each None or empty where it is not known.

Nothing here raises for what is missing or broken, imports a library that may be, or needs more than the base.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from edgeseg.runtime.machine.child import run_child, run_program
from edgeseg.runtime.machine.gpu import NoGpuError, find_gpu
from edgeseg.runtime.machine.jetpacks import jetpack_of, major_of
from edgeseg.runtime.machine.processor import jetson_model as jetson_model
from edgeseg.runtime.machine.processor import processor as processor
from edgeseg.runtime.machine.processor import read as read

PACKAGES = (
    "edgeseg", "numpy", "opencv-python", "opencv-python-headless", "onnxruntime", "onnxruntime-gpu", "openvino",
    "ai-edge-litert", "pycuda", "tensorrt", "tensorrt-rtx", "tensorflow", "keras", "onnx", "tf2onnx",
    "prometheus-client",
)  # fmt: skip
PROBE_SECONDS = 60.0
_GPU_CLOCKS = ("gpu", "ga10b", "gv11b", "gp10b", "gm20b")  # JetPack 6 says 17000000.gpu, JetPack 5 17000000.ga10b
_MIB = 1 << 20


def is_jetson(root: Path = Path("/")) -> bool:
    """Whether this is a Jetson; a container on one shows the device tree alone."""
    marks = ("etc/nv_tegra_release", "proc/device-tree/nvidia,dtsfilename")
    return bool(jetson_model(root)) or any((root / mark).exists() for mark in marks)


def l4t_release(root: Path = Path("/")) -> str:
    """Return the release of the Jetson's Linux, such as `36.4.0`; empty on other machines."""
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", read("/etc/nv_tegra_release", root))
    return ".".join(found.groups()) if found else ""


def jetpack(root: Path = Path("/")) -> str:
    """Return JetPack's version by its L4T, such as `6.2`; its major one where the table has only others of that.

    Empty where there is none or it is not known.
    """
    release = l4t_release(root)
    row = jetpack_of(release)
    return row.name if row else major_of(release)


def system_name(root: Path = Path("/")) -> str:
    """Return the distribution's name."""
    found = re.search(r'^PRETTY_NAME="?([^"\n]*)', read("/etc/os-release", root), re.MULTILINE)
    return found[1] if found else platform.platform()


def memory_mib(root: Path = Path("/")) -> dict[str, int]:
    """Return `MemTotal`, `MemAvailable`, `SwapTotal` and `SwapFree` in MiB, as far as they are known."""
    found = re.findall(
        r"^(MemTotal|MemAvailable|SwapTotal|SwapFree):\s*(\d+) kB", read("/proc/meminfo", root), re.MULTILINE
    )
    return {name: int(kib) // 1024 for name, kib in found}


def free_disk_mib(path: Path) -> int | None:
    """Return what is free where `path` lies."""
    try:
        return shutil.disk_usage(path).free // _MIB
    except OSError:
        return None


def gpus() -> list[dict[str, str]]:
    """Return name, driver and memory of each NVIDIA GPU that nvidia-smi lists, else of the driver's first one."""
    text = _output_of("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader,nounits")
    rows = [[cell.strip() for cell in line.split(",")] for line in text.splitlines()]
    found = [dict(zip(("name", "driver", "memory_mib"), row, strict=True)) for row in rows if len(row) == 3]
    if found:
        return found
    try:
        gpu = find_gpu()
    except NoGpuError:
        return []
    return [{"name": str(gpu), "driver": "not known", "memory_mib": str(gpu.memory_mb)}]


def cuda_driver_version() -> str:
    """Return the newest CUDA that the driver takes, such as `12.6`; empty without a driver."""
    try:
        library, number = ctypes.CDLL("libcuda.so.1"), ctypes.c_int()
        if library.cuDriverGetVersion(ctypes.byref(number)) != 0:
            return ""
    except (OSError, AttributeError):
        return ""
    return f"{number.value // 1000}.{number.value % 1000 // 10}"


def cuda_toolkit_version(root: Path = Path("/")) -> str:
    """Return the version of the CUDA toolkit in its usual place, such as `12.6.68`; empty without one."""
    found = re.search(r'"cuda"\s*:\s*{[^}]*"version"\s*:\s*"([\d.]+)"', read("/usr/local/cuda/version.json", root))
    return found[1] if found else ""


def power_mode() -> str:
    """Return the Jetson's power mode, such as `MAXN`; empty elsewhere."""
    found = re.search(r"NV Power Mode: (\S+)", _output_of("nvpmodel", "-q"))
    return found[1] if found else ""


def governors(root: Path = Path("/")) -> list[str]:
    """Return the frequency governors of the processor's cores, each once."""
    cores = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
    return sorted({read(str(path.relative_to(root)), root) for path in cores} - {""})


def gpu_clock_mhz(which: str, root: Path = Path("/")) -> float | None:
    """Return a Jetson's GPU clock by its devfreq file: `cur_freq`, `min_freq`, `max_freq`; None on other machines."""
    for folder in sorted((root / "sys/class/devfreq").glob("*")):
        hertz = read(folder / which)
        if any(name in folder.name for name in _GPU_CLOCKS) and hertz.isdigit():
            return int(hertz) / 1e6
    return None


def clocks_locked(root: Path = Path("/")) -> bool | None:
    """Whether the GPU's clock cannot fall, as after `jetson_clocks`; None where there is no such clock to read."""
    least, most = (gpu_clock_mhz(which, root) for which in ("min_freq", "max_freq"))
    return None if least is None or most is None else least == most


def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Return the versions of the Python packages that are installed."""
    from importlib import metadata  # which no camera's start must wait for

    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except Exception:  # a damaged installation may raise anything
            continue
    return found


def probe(name: str) -> dict[str, object]:
    """Try a library in a process of its own, since a broken one may crash or hang.

    Args:
        name: a function of edgeseg.runtime.machine.probes.

    Returns:
        What it found; `{"error": reason}` if it could not be tried to the end.
    """
    try:
        done = run_child(
            "edgeseg.runtime.machine.probes",
            name,
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {PROBE_SECONDS:.0f} s"}
    except OSError as error:
        return {"error": str(error)}
    try:
        found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])  # of a process of ours
        return found
    except (IndexError, ValueError):
        last = done.stderr.strip().splitlines()[-1:] or [""]
        how = f"killed by signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        return {"error": f"{how} {last[0]}".strip()[:300]}


def _output_of(*command: str) -> str:
    try:
        done = run_program(*command, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return ""
    return str(done.stdout)


def in_container(root: Path = Path("/")) -> bool:
    """Whether this looks like a container."""
    return (root / ".dockerenv").exists() or (root / "run/.containerenv").exists() or "container" in os.environ
