"""The NVIDIA GPU of this computer, asked of the driver itself: no library has to be installed, no context is made."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from edgeseg.core.errors import EngineError

DRIVER = "libcuda.so.1"
# Of CUdevice_attribute in cuda.h.
_MULTIPROCESSORS, _INTEGRATED, _MAJOR, _MINOR = 16, 18, 75, 76
_NAME_BYTES, _BUS_ID_BYTES = 256, 32


class NoGpuError(EngineError):
    """There is no driver, or it has no device."""


@dataclass(frozen=True)
class Gpu:
    """A device.

    Attributes:
        name: as the driver says it; several Jetsons call theirs `Orin`.
        compute_capability: for example `8.7`.
        multiprocessors: tell an Orin NX from an AGX Orin.
        memory_mb: in all.
        integrated: it shares the host's memory, as on a Jetson.
    """

    name: str
    compute_capability: str
    multiprocessors: int
    memory_mb: int
    integrated: bool

    def __str__(self) -> str:
        return f"{self.name} (compute capability {self.compute_capability}, {self.multiprocessors} multiprocessors)"


def find_gpu(index: int = 0) -> Gpu:
    """Ask the driver for a device. Raises NoGpuError."""
    driver = _driver()
    _check(driver, "cuInit", driver.cuInit(0))
    count, device = ctypes.c_int(), ctypes.c_int()
    _check(driver, "cuDeviceGetCount", driver.cuDeviceGetCount(ctypes.byref(count)))
    if count.value <= index:
        raise NoGpuError(f"the NVIDIA driver has {count.value} devices; expected at least {index + 1}")
    _check(driver, "cuDeviceGet", driver.cuDeviceGet(ctypes.byref(device), index))
    name = ctypes.create_string_buffer(_NAME_BYTES)
    _check(driver, "cuDeviceGetName", driver.cuDeviceGetName(name, _NAME_BYTES, device))
    memory = ctypes.c_size_t()
    _check(driver, "cuDeviceTotalMem", driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device))
    major, minor, multiprocessors, integrated = (
        _attribute(driver, device, each) for each in (_MAJOR, _MINOR, _MULTIPROCESSORS, _INTEGRATED)
    )
    capability = f"{major}.{minor}"
    return Gpu(name.value.decode(), capability, multiprocessors, memory.value >> 20, bool(integrated))


def pci_bus_id(index: int = 0) -> str:
    """Return a device's place on the PCI bus, by which other libraries know it. Raises NoGpuError."""
    driver = _driver()
    _check(driver, "cuInit", driver.cuInit(0))
    device, name = ctypes.c_int(), ctypes.create_string_buffer(_BUS_ID_BYTES)
    _check(driver, "cuDeviceGet", driver.cuDeviceGet(ctypes.byref(device), index))
    _check(driver, "cuDeviceGetPCIBusId", driver.cuDeviceGetPCIBusId(name, _BUS_ID_BYTES, device))
    return name.value.decode()


def no_gpu() -> str | None:
    """Return why there is no GPU, or None if there is one."""
    try:
        find_gpu()
    except NoGpuError as error:
        return str(error)
    return None


def _driver() -> ctypes.CDLL:
    try:
        return ctypes.CDLL(DRIVER)
    except OSError as error:
        raise NoGpuError(f"no NVIDIA driver here: {DRIVER} cannot be loaded") from error


def _attribute(driver: ctypes.CDLL, device: ctypes.c_int, number: int) -> int:
    value = ctypes.c_int()
    _check(driver, "cuDeviceGetAttribute", driver.cuDeviceGetAttribute(ctypes.byref(value), number, device))
    return value.value


def _check(driver: ctypes.CDLL, call: str, code: int) -> None:
    if code:
        text = ctypes.c_char_p()
        driver.cuGetErrorString(code, ctypes.byref(text))
        reason = text.value.decode() if text.value else "unknown error"
        raise NoGpuError(f"the NVIDIA driver has no usable device ({call}: {reason}, error {code})")
