"""How the device fares while it works: heat, clocks, power, throttling, memory; by /sys, /proc and NVIDIA's NVML.

A Jetson tells all of it in /sys, without root: its INA3221 sensors in hwmon, its GPU in devfreq, its throttling as
`*-alert` cooling devices and as counters of over-current events (NVIDIA's Jetson Linux guide, power and performance).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgeseg.runtime.machine import facts
from edgeseg.runtime.machine.nvml import Nvml

_COLDEST_C = -100.0  # a sensor that is off says -256
_INPUT_RAILS = ("VDD_IN", "VIN", "POM_5V_IN")  # the whole module; other rails are parts of it
_CPU_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")


@dataclass(frozen=True)
class DeviceState:
    """The device at one moment; what it does not tell is None or empty.

    Attributes:
        temperatures_c: by sensor.
        gpu_mhz, cpu_mhz: clocks; of the processor the mean over its cores.
        power_w: of the module or the GPU, `rails_w` by rail.
        throttling: why clocks are held down now, in words.
        throttle_events: counters since the start of the system, by what they count.
        available_mib, swap_used_mib: host memory.
        gpu_memory_mib: what all programs hold of the GPU's own memory; None where it has none of its own.
    """

    temperatures_c: dict[str, float] = field(default_factory=dict)
    gpu_mhz: float | None = None
    cpu_mhz: float | None = None
    power_w: float | None = None
    rails_w: dict[str, float] = field(default_factory=dict)
    throttling: tuple[str, ...] = ()
    throttle_events: dict[str, int] = field(default_factory=dict)
    available_mib: float | None = None
    swap_used_mib: float | None = None
    gpu_memory_mib: float | None = None

    @property
    def hottest_c(self) -> float | None:
        return max(self.temperatures_c.values(), default=None)


class DeviceMeter:
    """Reads the state again and again. A context manager: NVML is held open.

    Args:
        root: where /sys and /proc lie; another than / in tests.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._nvml: Nvml | None = None

    def __enter__(self) -> DeviceMeter:
        self._nvml = Nvml.open()
        return self

    def __exit__(self, *_: object) -> None:
        if self._nvml:
            self._nvml.close()

    def read(self) -> DeviceState:
        """Return how the device fares now."""
        rails = dict(_rails_w(self._root))
        memory = facts.memory_mib(self._root)
        nvml = self._nvml
        temperatures = dict(_temperatures_c(self._root))
        gpu_c = nvml.temperature_c() if nvml else None
        if gpu_c is not None:
            temperatures["GPU"] = gpu_c
        available, swap = memory.get("MemAvailable"), memory.get("SwapTotal")
        return DeviceState(
            temperatures_c=temperatures,
            gpu_mhz=(nvml.clock_mhz() if nvml else None) or facts.gpu_clock_mhz("cur_freq", self._root),
            cpu_mhz=_cpu_mhz(self._root),
            power_w=(nvml.power_w() if nvml else None) or _whole_w(rails),
            rails_w=rails,
            throttling=(*_alerts(self._root), *(nvml.throttling() if nvml else ())),
            throttle_events=_throttle_events(self._root),
            available_mib=available,
            swap_used_mib=None if swap is None else swap - memory.get("SwapFree", 0),
            gpu_memory_mib=nvml.memory_used_mib() if nvml else None,
        )


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text())
    except (OSError, ValueError):  # a sensor that is asleep cannot be read
        return None


def _word(path: Path) -> str:
    return facts.read(path)


def _temperatures_c(root: Path) -> Iterator[tuple[str, float]]:
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        value = _number(zone / "temp")
        if value is not None and value / 1e3 > _COLDEST_C:
            yield _word(zone / "type") or zone.name, value / 1e3
    for chip in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if _word(chip / "name") in _CPU_SENSORS:
            values = [value for path in chip.glob("temp*_input") if (value := _number(path)) is not None]
            if values:
                yield _word(chip / "name"), max(values) / 1e3


def _rails_w(root: Path) -> Iterator[tuple[str, float]]:
    for chip in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if not _word(chip / "name").startswith("ina"):
            continue
        for label in sorted(chip.glob("in*_label")):
            number = re.sub(r"\D", "", label.name)
            millivolts, milliamperes = _number(chip / f"in{number}_input"), _number(chip / f"curr{number}_input")
            microwatts = _number(chip / f"power{number}_input")
            if microwatts is not None:
                yield _word(label), microwatts / 1e6
            elif millivolts is not None and milliamperes is not None:
                yield _word(label), millivolts * milliamperes / 1e6


def _whole_w(rails: dict[str, float]) -> float | None:
    whole = next((rails[name] for name in _INPUT_RAILS if name in rails), None)
    return whole if whole is not None else sum(rails.values()) or None


def _cpu_mhz(root: Path) -> float | None:
    paths = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
    kilohertz = [value for path in paths if (value := _number(path)) is not None]
    return sum(kilohertz) / len(kilohertz) / 1e3 if kilohertz else None


def _alerts(root: Path) -> tuple[str, ...]:
    """Cooling devices whose type ends in `-alert` are on while clocks are held down; fans cool without harm."""
    devices = (root / "sys/class/thermal").glob("cooling_device*")
    names = {_word(each / "type") for each in devices if (_number(each / "cur_state") or 0) > 0}
    return tuple(sorted(name for name in names if name.endswith("-alert")))


def _throttle_events(root: Path) -> dict[str, int]:
    kinds = {
        "over-current": (root / "sys/class/hwmon").glob("hwmon*/oc*_event_cnt"),
        "processor too hot": (root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/*_throttle_count"),
    }
    found = {}
    for kind, paths in kinds.items():
        counts = [value for path in paths if (value := _number(path)) is not None]
        if counts:
            found[kind] = int(sum(counts))
    return found
