"""NVIDIA's management library, which comes with the driver: what the GPU is doing while it works.

A Jetson's has little or nothing to say; there /sys does (machine/state.py).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from edgeseg.runtime.machine.gpu import NoGpuError, pci_bus_id

LIBRARY = "libnvidia-ml.so.1"
# Of nvml.h.
_TEMPERATURE_GPU, _CLOCK_SM = 0, 1
_HEAT_AND_POWER = {
    0x08: "hardware slowdown",
    0x20: "too hot (software slowdown)",
    0x40: "too hot (hardware slowdown)",
    0x80: "power brake",
}
POWER_CAP = "power limit"
_SW_POWER_CAP = 0x04


class _Memory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class Nvml:
    """The device that CUDA calls its first. What it does not tell is None."""

    def __init__(self, library: ctypes.CDLL, device: ctypes.c_void_p) -> None:
        self._library, self._device = library, device

    @classmethod
    def open(cls) -> Nvml | None:
        """Return it, or None where there is no such library or device."""
        try:
            library, device = ctypes.CDLL(LIBRARY), ctypes.c_void_p()
            bus_id = pci_bus_id().encode()  # the two number devices by other rules
            if library.nvmlInit_v2() == 0:
                if library.nvmlDeviceGetHandleByPciBusId_v2(bus_id, ctypes.byref(device)) == 0:
                    return cls(library, device)
                library.nvmlShutdown()
        except (OSError, AttributeError, NoGpuError):
            pass
        return None

    def close(self) -> None:
        self._library.nvmlShutdown()

    def temperature_c(self) -> float | None:
        return self._number("nvmlDeviceGetTemperature", _TEMPERATURE_GPU)

    def clock_mhz(self) -> float | None:
        return self._number("nvmlDeviceGetClockInfo", _CLOCK_SM)

    def power_w(self) -> float | None:
        milliwatts = self._number("nvmlDeviceGetPowerUsage")
        return None if milliwatts is None else milliwatts / 1e3

    def memory_used_mib(self) -> float | None:
        """Return what all programs together hold of the GPU's memory."""
        memory = _Memory()
        return memory.used / (1 << 20) if self._asked("nvmlDeviceGetMemoryInfo", ctypes.byref(memory)) else None

    def throttling(self) -> tuple[str, ...]:
        """Return why the clocks are lower than they could be, in words; empty for no reason, or where it is idle."""
        bits = ctypes.c_ulonglong()
        if not self._asked("nvmlDeviceGetCurrentClocksThrottleReasons", ctypes.byref(bits)):
            return ()
        names = {**_HEAT_AND_POWER, _SW_POWER_CAP: POWER_CAP}
        return tuple(name for bit, name in names.items() if bits.value & bit)

    def _number(self, function: str, *arguments: int) -> float | None:
        value = ctypes.c_uint()
        return float(value.value) if self._asked(function, *arguments, ctypes.byref(value)) else None

    def _asked(self, function: str, *arguments: Any) -> bool:
        call: Callable[..., int] | None = getattr(self._library, function, None)
        return call is not None and call(self._device, *arguments) == 0


def memory_used_mib() -> float | None:
    """Return what all programs together hold of the GPU's memory; None where nobody tells."""
    nvml = Nvml.open()
    if nvml is None:
        return None
    try:
        return nvml.memory_used_mib()
    finally:
        nvml.close()
