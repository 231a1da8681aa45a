"""What a reader of a figure must know of the machine and the software, so that it can be compared with another."""

from __future__ import annotations

import os
import platform
from typing import Any

from edgeseg.runtime.engines.tensorrt_library import library_name
from edgeseg.runtime.machine import facts


def environment() -> dict[str, Any]:
    """Return it as JSON values; what this machine does not have or does not tell is empty or None."""
    opencv = facts.probe("opencv")
    return {
        "device": facts.jetson_model() or facts.processor(),
        "system": facts.system_name(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "jetpack": facts.jetpack(),
        "l4t": facts.l4t_release(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mib": facts.memory_mib().get("MemTotal"),
        "gpus": facts.gpus(),
        "cuda_driver": facts.cuda_driver_version(),
        "cuda_toolkit": facts.cuda_toolkit_version(),
        "tensorrt": _tensorrt_version(),
        "power_mode": facts.power_mode(),
        "gpu_clock_locked": facts.clocks_locked(),
        "cpu_governors": facts.governors(),
        "python": platform.python_version(),
        "versions": facts.versions(),
        "opencv": opencv.get("version"),
        "opencv_gstreamer": opencv.get("gstreamer"),
        "container": facts.in_container(),
    }


def _tensorrt_version() -> str | None:
    """JetPack's comes by apt, and not every release of it is a Python package by name: then it is asked itself."""
    versions = facts.versions(("tensorrt", "tensorrt-rtx"))
    if versions or library_name() is None:
        return " and ".join(f"{name} {version}" for name, version in versions.items()) or None
    found = facts.probe(str(library_name())).get("version")
    return None if found is None else f"{library_name()} {found}"
