"""How a device fares, read from the files of a Jetson, and from NVIDIA's libraries compiled to answer as they do."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgeseg.runtime.machine import facts, gpu, nvml
from edgeseg.runtime.machine.nvml import POWER_CAP, Nvml, memory_used_mib
from edgeseg.runtime.machine.processes import process_state
from edgeseg.runtime.machine.state import DeviceMeter, DeviceState

COMPILER = shutil.which("cc")
DRIVER = r"""
#include <string.h>
int cuInit(unsigned flags) { return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetPCIBusId(char *name, int length, int device) { strncpy(name, "0000:01:00.0", length); return 0; }
int cuGetErrorString(int code, const char **text) { *text = "?"; return 0; }
"""
MANAGEMENT = r"""
#include <string.h>
typedef unsigned long long u64;
int open_count = 0;
int nvmlInit_v2(void) { open_count++; return 0; }
int nvmlShutdown(void) { open_count--; return 0; }
int nvmlDeviceGetHandleByPciBusId_v2(const char *name, void **device) {
    *device = (void *)7; return strcmp(name, "0000:01:00.0") ? 6 : 0;
}
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *value) { *value = 71; return sensor; }
int nvmlDeviceGetClockInfo(void *device, int kind, unsigned *value) { *value = 1410; return kind != 1; }
int nvmlDeviceGetPowerUsage(void *device, unsigned *value) { *value = 87500; return 0; }
int nvmlDeviceGetMemoryInfo(void *device, u64 *memory) { memory[2] = 512ull << 20; return MEMORY; }
int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, u64 *bits) { *bits = 0x01 | 0x04 | 0x40; return 0; }
"""


@pytest.fixture
def jetson(tmp_path: Path) -> Path:
    """The files of an Orin Nano that is too hot and has had over-current events."""
    for path, content in {
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
        "sys/class/thermal/thermal_zone0/temp": "96250",
        "sys/class/thermal/thermal_zone1/type": "gpu-thermal",
        "sys/class/thermal/thermal_zone1/temp": "91000",
        "sys/class/thermal/thermal_zone2/type": "cv0-thermal",
        "sys/class/thermal/thermal_zone2/temp": "-256000",
        "sys/class/thermal/cooling_device0/type": "pwm-fan",
        "sys/class/thermal/cooling_device0/cur_state": "3",
        "sys/class/thermal/cooling_device1/type": "gpu-throttle-alert",
        "sys/class/thermal/cooling_device1/cur_state": "1",
        "sys/class/thermal/cooling_device2/type": "cpu-throttle-alert",
        "sys/class/thermal/cooling_device2/cur_state": "0",
        "sys/class/hwmon/hwmon1/name": "ina3221",
        "sys/class/hwmon/hwmon1/in1_label": "VDD_IN",
        "sys/class/hwmon/hwmon1/in1_input": "5000",
        "sys/class/hwmon/hwmon1/curr1_input": "2400",
        "sys/class/hwmon/hwmon1/in2_label": "VDD_CPU_GPU_CV",
        "sys/class/hwmon/hwmon1/in2_input": "5000",
        "sys/class/hwmon/hwmon1/curr2_input": "1000",
        "sys/class/hwmon/hwmon1/in7_label": "sum of shunt voltages",
        "sys/class/hwmon/hwmon3/name": "soctherm_oc",
        "sys/class/hwmon/hwmon3/oc1_event_cnt": "1",
        "sys/class/hwmon/hwmon3/oc3_event_cnt": "27",
        "sys/class/devfreq/17000000.gpu/cur_freq": "306000000",
        "sys/class/devfreq/17000000.gpu/min_freq": "306000000",
        "sys/class/devfreq/17000000.gpu/max_freq": "624750000",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1510400",
        "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "729600",
        "proc/meminfo": "MemTotal: 7802368 kB\nMemAvailable: 512000 kB\nSwapTotal: 1024000 kB\nSwapFree: 0 kB\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"{content}\n")
    return tmp_path


def test_a_jetson_tells_heat_clocks_power_and_what_holds_it_down(jetson: Path) -> None:
    with DeviceMeter(jetson) as meter:
        state = meter.read()
    assert state == DeviceState(
        temperatures_c={"cpu-thermal": 96.25, "gpu-thermal": 91.0},  # the sensor that is off is left out
        gpu_mhz=306.0,
        cpu_mhz=1120.0,
        power_w=12.0,  # of the whole module: the other rail is a part of it
        rails_w={"VDD_IN": 12.0, "VDD_CPU_GPU_CV": 5.0},
        throttling=("gpu-throttle-alert",),  # a fan that turns holds nothing down
        throttle_events={"over-current": 28},
        available_mib=500,
        swap_used_mib=1000,
    )
    assert state.hottest_c == 96.25
    assert facts.clocks_locked(jetson) is False


def test_a_machine_that_tells_nothing_is_no_error(tmp_path: Path) -> None:
    with DeviceMeter(tmp_path) as meter:
        assert meter.read() == DeviceState()
    assert DeviceState().hottest_c is None


def test_jetpack_5_calls_the_gpu_s_clock_by_its_chip(tmp_path: Path) -> None:
    folder = tmp_path / "sys/class/devfreq/17000000.ga10b"
    folder.mkdir(parents=True)
    for name in ("min_freq", "max_freq", "cur_freq"):
        (folder / name).write_text("1300500000\n")
    assert facts.gpu_clock_mhz("cur_freq", tmp_path) == 1300.5
    assert facts.clocks_locked(tmp_path) is True


def compiled(folder: Path, name: str, source: str, *flags: str) -> str:
    assert COMPILER
    (folder / f"{name}.c").write_text(source)
    path = str(folder / f"{name}.so")
    subprocess.run([COMPILER, "-shared", "-fPIC", *flags, "-o", path, str(folder / f"{name}.c")], check=True)
    return path


@pytest.mark.skipif(COMPILER is None, reason="no C compiler to make NVIDIA's libraries with")
@pytest.mark.parametrize("memory_code", [0, 3])
def test_nvml_is_asked_for_the_device_that_cuda_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory_code: int
) -> None:
    monkeypatch.setattr(gpu, "DRIVER", compiled(tmp_path, f"driver{memory_code}", DRIVER))
    library = compiled(tmp_path, f"nvml{memory_code}", MANAGEMENT, f"-DMEMORY={memory_code}")
    monkeypatch.setattr(nvml, "LIBRARY", library)
    with DeviceMeter(tmp_path) as meter:
        state = meter.read()
    assert state.temperatures_c == {"GPU": 71.0}
    assert (state.gpu_mhz, state.power_w) == (1410.0, 87.5)
    assert state.throttling == ("too hot (hardware slowdown)", POWER_CAP)
    assert state.gpu_memory_mib == memory_used_mib() == (None if memory_code else 512.0)  # 3: not supported, a Jetson
    opened = Nvml.open()
    assert opened
    opened.close()
    assert ctypes.c_int.in_dll(ctypes.CDLL(library), "open_count").value == 0


def test_without_a_driver_there_is_no_nvml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "LIBRARY", "libnvidia-ml-that-is-not-there.so.1")
    assert Nvml.open() is None
    assert memory_used_mib() is None


def test_what_a_process_and_its_children_hold_is_read() -> None:
    """The child of the child holds 40 MB and three files more."""
    held = "import sys, time; kept = bytearray(b'x' * 40_000_000); f = [open('/dev/null') for _ in range(3)]; "
    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    wait = "print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, held + wait], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        state = process_state(process.pid)
        process.communicate()
    assert state
    assert 40 < state.children_mb < 80
    assert state.own_mb < 40
    assert state.memory_mb == state.own_mb + state.children_mb
    assert state.handles >= 9
    assert state.threads == 2
    assert state.cpu_seconds > 0
    assert process_state(process.pid) is None
    own = process_state(os.getpid())
    assert own
    assert own.threads >= 1
