"""What `edgeseg doctor` finds of the machine itself."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from edgeseg.runtime.doctor.findings import Finding, MachineUnderTest
from edgeseg.runtime.machine import facts
from edgeseg.runtime.machine.child import run_program
from edgeseg.runtime.machine.jetpacks import changes, jetpack_of, jetpacks, numbers

_OLDEST, _NEWEST = (3, 10), (3, 12)
_LOW_DISK_MIB, _LOW_MEMORY_MIB = 2048, 1024


def python(machine: MachineUnderTest) -> Iterator[Finding]:
    found = f"{platform.python_version()}, {sys.executable}"
    good = _OLDEST <= sys.version_info[:2] <= _NEWEST
    yield Finding("Python", "good" if good else "missing", found, "" if good else "use Python 3.10, 3.11 or 3.12")


def system(machine: MachineUnderTest) -> Iterator[Finding]:
    board = facts.jetson_model(machine.root)
    cores = len(os.sched_getaffinity(0))
    yield Finding("machine", "good", f"{board or facts.processor(machine.root)}, {cores} cores")
    yield Finding("system", "good", facts.system_name(machine.root))
    if not machine.jetson:
        return
    release, jetpack = facts.l4t_release(machine.root), facts.jetpack(machine.root)
    known = jetpack.partition(".")[0] in ("6", "7")
    remedy = "" if known else "edgeseg is made for JetPack 6 and 7: flash one of them"
    found = f"JetPack {jetpack or '?'}, L4T {release or 'not known'}"
    yield Finding("JetPack", "good" if known else "warning", found, remedy)
    yield from _updates(board, release)
    if "Orin" in board and "Nano" not in board:
        yield Finding("DLA", "note", "not used: TensorRT has none after 10.7, until 11.4.1 for AGX Orin alone")


def _updates(board: str, release: str) -> Iterator[Finding]:
    """Say what each newer JetPack for the board would break, of those of one major version the newest alone."""
    here = jetpack_of(release)
    if here is None:
        return
    newer = {row.major: row for row in jetpacks() if numbers(row.name) > numbers(here.name) and row.is_for(board)}
    for row in newer.values():
        doubt = "" if row.is_confirmed else " (unconfirmed)"
        text = "; ".join(changes(here, row)) or "nothing that edgeseg knows of breaks"
        yield Finding("JetPack update", "note", f"to {row.name}{doubt}: {text}")


def gpu(machine: MachineUnderTest) -> Iterator[Finding]:
    for each in machine.gpus:
        yield Finding("GPU", "good", f"{each['name']}, driver {each['driver']}, {each['memory_mib']} MiB")
    cuda = facts.cuda_driver_version()
    if cuda:
        yield Finding("CUDA driver", "good", f"takes CUDA up to {cuda}")
    elif machine.jetson or machine.gpus:
        in_container = facts.in_container(machine.root)
        remedy = "start the container with --runtime nvidia" if in_container else "install the driver"
        yield Finding("CUDA driver", "missing", "libcuda.so.1 cannot be loaded", remedy)
    else:
        yield Finding("GPU", "note", "no NVIDIA GPU or driver: models run on the CPU")


def clocks(machine: MachineUnderTest) -> Iterator[Finding]:
    mode, locked = facts.power_mode(), facts.clocks_locked(machine.root)
    if mode:
        highest = mode.upper().startswith("MAXN")
        remedy = "" if highest else "sudo nvpmodel -m 0 for the highest, if power and cooling allow it"
        yield Finding("power mode", "good" if highest else "note", mode, remedy)
    if locked is not None:
        text = "locked" if locked else "rises and falls with the load"
        remedy = "" if locked else "sudo jetson_clocks while measuring"
        yield Finding("GPU clock", "good" if locked else "note", text, remedy)
    governors = facts.governors(machine.root)
    if governors:
        steady = governors == ["performance"]
        remedy = "" if steady else "for steady times: sudo cpupower frequency-set -g performance"
        yield Finding("CPU governor", "good" if steady else "note", ", ".join(governors), remedy)


def memory(machine: MachineUnderTest) -> Iterator[Finding]:
    mib = facts.memory_mib(machine.root)
    free = mib.get("MemAvailable", 0)
    low = free < _LOW_MEMORY_MIB
    text = f"{free} of {mib.get('MemTotal', 0)} MiB available, swap {mib.get('SwapTotal', 0)} MiB"
    yield Finding("memory", "warning" if low else "good", text, "close programs, or add swap" if low else "")
    disk = facts.free_disk_mib(Path.home() if machine.root == Path("/") else machine.root)
    if disk is not None:
        low = disk < _LOW_DISK_MIB
        remedy = "make room: engines and recordings need it" if low else ""
        yield Finding("disk", "warning" if low else "good", f"{disk} MiB free in the home folder", remedy)


def cameras(machine: MachineUnderTest) -> Iterator[Finding]:
    devices = sorted((machine.root / "dev").glob("video[0-9]*"))
    closed = [device for device in devices if not os.access(device, os.R_OK | os.W_OK)]
    in_container = facts.in_container(machine.root)
    if closed:
        remedy = "sudo usermod -aG video $USER, then log in anew"
        yield Finding("cameras", "warning", f"no permission for {', '.join(map(str, closed))}", remedy)
    elif devices:
        yield Finding("cameras", "good", f"{', '.join(map(str, devices))}; edgeseg-camera --list shows their modes")
    else:
        remedy = "start the container with --device /dev/video0" if in_container else ""
        yield Finding("cameras", "note", "no /dev/video*: network cameras and files still work", remedy)
    if not machine.jetson:
        return
    socket = machine.root / "tmp/argus_socket"
    if socket.exists():
        yield Finding("Argus socket", "good", str(socket))
    else:
        mount = "start the container with -v /tmp/argus_socket:/tmp/argus_socket"
        remedy = mount if in_container else "sudo systemctl restart nvargus-daemon"
        yield Finding("Argus socket", "warning", "not there: csi:// cannot work", remedy)


def tools(machine: MachineUnderTest) -> Iterator[Finding]:
    yield _openssl()
    if machine.jetson and not (shutil.which("nvcc") or (machine.root / "usr/local/cuda/bin/nvcc").exists()):
        remedy = "pycuda compiles with it: apt-get install cuda-nvcc, or bring a wheel"
        yield Finding("nvcc", "note", "not found", remedy)
    names = facts.versions()
    training = "tensorflow" in names
    exporting = {"onnx", "tf2onnx"} <= names.keys()
    text = f"training {'' if training else 'not '}installed, export {'' if exporting else 'not '}installed"
    yield Finding("training side", "good" if training and exporting else "note", text)


def _openssl() -> Finding:
    """Look at what signs bundles and verifies them."""
    try:
        found = run_program("openssl", "version", capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return Finding("OpenSSL", "note", "not found", "signed bundles need it: apt-get install openssl")
    name, _, version = found.partition(" ")
    good = name == "OpenSSL" and numbers(version.split(" ")[0]) >= (3, 0)
    remedy = "" if good else "signed bundles need OpenSSL 3.0 or newer, which Ubuntu 22.04 has"
    return Finding("OpenSSL", "good" if good else "note", found or "says no version", remedy)
