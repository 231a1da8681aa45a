"""What a reader of a figure must know of the machine and the software, so that it can be compared with another."""

from __future__ import annotations

import os
import platform
from typing import Any

from edgeseg.runtime import machine


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
        "power_mode": machine.power_mode(),
        "gpu_clock_locked": machine.clocks_locked(),
        "cpu_governors": machine.governors(),
        "python": platform.python_version(),
        "versions": machine.versions(),
        "opencv_gstreamer": opencv.get("gstreamer"),
        "container": machine.in_container(),
    }
