"""The name of this computer's processor."""

from __future__ import annotations

import platform
from pathlib import Path


def processor_name() -> str:
    """Return it as the kernel says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return names[0] if names else platform.machine()
