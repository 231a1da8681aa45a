"""Whether cameras run is judged by what systemd says: here it is a real one, with services that really start again."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.stub_bundle import UNIT, Device, make_bundle, sha256sums

MANAGER = Path("/lib/systemd/systemd")
SYSTEMCTL = shutil.which("systemctl") or ""
CAMERA = "edgeseg-camera@camera.service"
HAS_SYSTEMD = MANAGER.exists() and SYSTEMCTL and shutil.which("unshare") and os.geteuid() == 0
pytestmark = [
    pytest.mark.faults,  # 25 seconds
    pytest.mark.skipif(not HAS_SYSTEMD, reason="needs systemd, unshare and root"),
    pytest.mark.skipif(Path("/run/systemd/system").exists(), reason="a systemd runs here: it is left alone"),
]
# What the model says is what the camera does; a manager of a user cannot do what the real service file asks for.
SERVICE = """[Unit]
StartLimitIntervalSec=0
[Service]
Type=exec
ExecStart=/bin/sh -c 'case $(cat %s) in crash) exit 1 ;; dies) sleep 0.7; exit 1 ;; esac; exec sleep 1000'
Restart=always
RestartSec=0.3
[Install]
WantedBy=multi-user.target
"""
START = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && {manager} --user >{place}/log 2>&1; exit"

# Only a process of its own namespace is answered.
ASK = """#!/bin/sh
case $1 in --root=*) exec {systemctl} "$@" ;; esac
read -r shell _ </proc/{pid}/task/{pid}/children
exec nsenter --target "$shell" --mount --pid {systemctl} --user "$@"
"""


@pytest.fixture
def device(memory_path: Path) -> Iterator[Device]:
    """A system whose service manager is systemd's for a user, in a process namespace that ends with it."""
    groups = [each for each in own_groups() if not each.exists()]
    device, home, runtime = Device(memory_path / "device"), memory_path / "home", memory_path / "run"
    units = device.root / "etc/systemd/system"
    for folder in (units, home / ".config/systemd", runtime):
        folder.mkdir(parents=True, mode=0o700)
    (home / ".config/systemd/user").symlink_to(units)
    device.environment |= {"XDG_RUNTIME_DIR": str(runtime), "HOME": str(home), "DBUS_SESSION_BUS_ADDRESS": ""}
    alone = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c"]
    manager = subprocess.Popen([*alone, START.format(manager=MANAGER, place=memory_path)], env=device.environment)
    device.programs.joinpath("systemctl").write_text(ASK.format(systemctl=SYSTEMCTL, pid=manager.pid))
    try:
        end = time.monotonic() + 10
        while state(device) != "inactive":
            if manager.poll() is not None or time.monotonic() > end:
                pytest.skip(f"systemd does not run here: {(memory_path / 'log').read_text()[-500:]}")
            time.sleep(0.05)
        yield device
    finally:
        manager.kill()
        manager.wait()
        remove_groups(groups)


def own_groups() -> list[Path]:
    """Where a manager puts its control groups: below this process's own."""
    lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    folders = {"name=systemd": "/sys/fs/cgroup/systemd", "": "/sys/fs/cgroup"}
    found = [folders[kind] + path for _, kind, path in lines if kind in folders]
    return [Path(folder, name) for folder in found for name in ("app.slice", "init.scope")]


def remove_groups(groups: list[Path]) -> None:
    end = time.monotonic() + 10  # of what ends with the namespace, some ends a little later
    for group in groups:
        for folder in sorted((each for each in (group, *group.rglob("*")) if each.is_dir()), reverse=True):
            while folder.is_dir() and time.monotonic() < end:
                with contextlib.suppress(OSError):
                    folder.rmdir()
                time.sleep(0.02)


def bundle(device: Device, place: Path, model: str) -> Path:
    folder = make_bundle(place, model)
    (folder / UNIT).write_text(SERVICE % f"{device.base}/current/model/model.onnx")
    (folder / "SHA256SUMS").write_text(sha256sums(folder))
    return folder


def state(device: Device) -> str:
    command = [str(device.programs / "systemctl"), "show", "--property=ActiveState", "--value", CAMERA]
    return subprocess.run(command, env=device.environment, capture_output=True, text=True).stdout.strip()


def test_an_update_whose_camera_is_started_again_and_again_is_taken_back(device: Device, memory_path: Path) -> None:
    said = device.install(bundle(device, memory_path, "first"), "--watch", "2")
    assert f"{CAMERA} runs" in said
    for model in ("crash", "dies"):
        said = device.install(bundle(device, memory_path, model), "--watch", "2", code=1)
        assert f"{CAMERA} does not run" in said
        assert "first (id-first) is back" in said
        assert (device.current, state(device)) == ("id-first", "active")
    said = device.install(bundle(device, memory_path, "second"), "--watch", "2")
    assert f"{CAMERA} runs" in said
    assert (device.current, device.previous, state(device)) == ("id-second", "id-first", "active")
    device.install("--uninstall")
    assert state(device) == "inactive"


def test_a_camera_that_never_ran_holds_no_update_up(device: Device, memory_path: Path) -> None:
    said = device.install(bundle(device, memory_path, "dies"), "--watch", "2", code=1)
    assert f"installed: edgeseg 0.1.0, dies (id-dies), but {CAMERA} does not run" in said
    device.install(bundle(device, memory_path, "crash"), "--watch", "2", code=1)
    assert device.current == "id-crash"
    device.install(bundle(device, memory_path, "first"), "--watch", "2")
    assert (device.current, state(device)) == ("id-first", "active")
