"""The service file, as systemd itself judges it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers.stub_bundle import JETSON, UNIT

HIGHEST_EXPOSURE = 3.0
INSTANCE = "edgeseg-camera@front.service"

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")


def analyze(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Judge an instance whose program, which is not installed here, is another."""
    text, count = re.subn(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", (JETSON / UNIT).read_text())
    assert count == 1
    (tmp_path / UNIT).write_text(text)
    (tmp_path / INSTANCE).symlink_to(UNIT)
    command = ["systemd-analyze", *arguments, f"./{INSTANCE}"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)


@needs_systemd
def test_systemd_reads_it_without_a_word(tmp_path: Path) -> None:
    done = analyze(tmp_path, "verify")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_systemd
def test_its_exposure_is_low(tmp_path: Path) -> None:
    done = analyze(tmp_path, "security", "--offline=true", "--no-pager", f"--threshold={HIGHEST_EXPOSURE * 10:.0f}")
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd judges no files")
    found = re.search(r"Overall exposure level .*: ([\d.]+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) <= HIGHEST_EXPOSURE
    assert done.returncode == 0


def test_what_a_camera_in_a_vehicle_needs_is_there() -> None:
    lines = (JETSON / UNIT).read_text().splitlines()
    for line in (
        "Type=notify",
        "Restart=always",
        "StartLimitIntervalSec=0",
        "User=edgeseg",
        "SupplementaryGroups=video",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "DevicePolicy=closed",
        "WantedBy=multi-user.target",
    ):
        assert line in lines
    assert not {"PrivateTmp=yes", "PrivateDevices=yes", "ProcSubset=pid"} & set(lines)  # no CSI camera, no GPU
    assert [line for line in lines if line.startswith("MemoryMax=")]
    (environment,) = (line for line in lines if line.startswith("Environment="))
    # In CacheDirectory=edgeseg: engines, and GStreamer's list of plugins, without which each start looks at them all.
    assert "XDG_CACHE_HOME=%C/edgeseg" in environment.split()
    assert [line for line in lines if line.startswith("WatchdogSec=")]
