"""Whether a machine was quiet while it was measured: what others took of its processors."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeseg.runtime.machine import facts, nvml

NOISY_SHARE = 0.05  # of all cores; with more, figures of two runs no longer agree


@dataclass(frozen=True)
class Load:
    """What ran on the machine during a measurement, in shares of all its cores' time.

    Attributes:
        own: this process and the children that it waited for.
        others: everything else, with what the host of a virtual machine took (steal).
        seconds: length of the measurement.
        cpu_ms_per_frame: own processor time a frame.
        peak_mib: greatest resident memory of this process.
        machine_used_mib: what is not available of the machine's memory at the end; on a Jetson the GPU's is in it.
        gpu_used_mib: what all programs hold of a GPU's own memory at the end; None where nobody tells.
    """

    own: float
    others: float
    seconds: float
    cpu_ms_per_frame: float
    peak_mib: float
    machine_used_mib: float | None = None
    gpu_used_mib: float | None = None

    @property
    def quiet(self) -> bool:
        return self.others <= NOISY_SHARE

    def to_dict(self) -> dict[str, Any]:
        rounded = {name: value and round(value, 4) for name, value in asdict(self).items()}
        return {**rounded, "quiet": self.quiet}


class LoadMeter:
    """Measures from its making on.

    Args:
        own_seconds: tells the processor seconds that are one's own; without it, of this process and the children that
            it waited for.
    """

    def __init__(self, own_seconds: Callable[[], float] | None = None) -> None:
        self._own_seconds = own_seconds or _own_seconds
        self._own, self._busy, self._all = self._own_seconds(), *_machine_seconds()

    def read(self, seconds: float, frames: int) -> Load:
        """Return the load since the start.

        Args:
            seconds: that passed.
            frames: that were processed.
        """
        own = self._own_seconds() - self._own
        busy, everything = (
            now - before for now, before in zip(_machine_seconds(), (self._busy, self._all), strict=True)
        )
        everything = max(everything, 1e-9)
        peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return Load(
            own=min(1.0, own / everything),
            others=max(0.0, (busy - own) / everything),
            seconds=seconds,
            cpu_ms_per_frame=own / max(1, frames) * 1e3,
            peak_mib=peak_kib / 1024,
            **asdict(memory_in_use()),
        )


@dataclass(frozen=True)
class MemoryInUse:
    """What all programs hold, as in Load."""

    machine_used_mib: float | None
    gpu_used_mib: float | None


def memory_in_use() -> MemoryInUse:
    """Return how much of the machine's and of the GPU's memory is taken now."""
    known = facts.memory_mib()
    used = known["MemTotal"] - known["MemAvailable"] if {"MemTotal", "MemAvailable"} <= known.keys() else None
    return MemoryInUse(used, nvml.memory_used_mib())


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _machine_seconds() -> tuple[float, float]:
    """Return busy and all processor seconds since the machine's start (proc(5), /proc/stat)."""
    try:
        fields = [int(each) for each in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return 0.0, 0.0
    ticks = os.sysconf("SC_CLK_TCK")
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) / ticks, sum(fields) / ticks
