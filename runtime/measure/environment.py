"""What a reader of a figure must know of the machine and the software, so that it can be compared with another."""

from __future__ import annotations

import os
import platform
from typing import Any

from edgeseg.runtime import machine
from edgeseg.runtime.tensorrt_library import library_name


def environment() -> dict[str, Any]:
    """Return it as JSON values; what this machine does not have or does not tell is empty or None."""
    opencv = machine.probe("opencv")
    return {
        "device": machine.jetson_model() or machine.processor(),
        "system": machine.system_name(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "jetpack": machine.jetpack(),
        "l4t": machine.l4t_release(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": machine.memory_mib().get("MemTotal"),
        "gpus": machine.gpus(),
        "cuda_driver": machine.cuda_driver_version(),
        "cuda_toolkit": machine.cuda_toolkit_version(),
        "tensorrt": _tensorrt_version(),
        "power_mode": machine.power_mode(),
        "gpu_clock_locked": machine.clocks_locked(),
        "cpu_governors": machine.governors(),
        "python": platform.python_version(),
        "versions": machine.versions(),
        "opencv": opencv.get("version"),
        "opencv_gstreamer": opencv.get("gstreamer"),
        "container": machine.in_container(),
    }


def _tensorrt_version() -> str | None:
    """JetPack's comes by apt, and not every release of it is a Python package by name: then it is asked itself."""
    versions = machine.versions(("tensorrt", "tensorrt-rtx"))
    if versions or library_name() is None:
        return " and ".join(f"{name} {version}" for name, version in versions.items()) or None
    found = machine.probe(str(library_name())).get("version")
    return None if found is None else f"{library_name()} {found}"
