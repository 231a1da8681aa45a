"""What the processor is called: facts that each start of an engine asks for, without those that take more imports."""

from __future__ import annotations

import platform
import re
from pathlib import Path


def read(path: str | Path, root: Path = Path("/")) -> str:
    """Return a small text file's content without blanks and zeros around it; empty if it cannot be read."""
    try:
        return (root / str(path).lstrip("/")).read_bytes()[:65536].decode(errors="replace").strip("\0 \n")
    except OSError:
        return ""


def jetson_model(root: Path = Path("/")) -> str:
    """Return the board's name, such as `NVIDIA Jetson Orin Nano`; empty on other machines."""
    name = read("/proc/device-tree/model", root)
    return name if "jetson" in name.lower() or "nvidia" in name.lower() else ""


def processor(root: Path = Path("/")) -> str:
    """Return the processor's name as the kernel says it, else the board's or the architecture's."""
    found = re.search(r"^(?:model name|Model)\s*: (.*)", read("/proc/cpuinfo", root), re.MULTILINE)
    return found[1].strip() if found else jetson_model(root) or platform.machine()
