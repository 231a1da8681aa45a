"""The camera as the service file runs it: its group, its umask, no capabilities, and a file system that is read-only.

systemd is not needed: util-linux makes the mounts and takes the rights. The user stays, since the interpreter that runs
the tests may be readable to that one alone.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.stub_bundle import JETSON, UNIT

GROUP, READER = 64850, 64851
WITHOUT_ROOT = os.geteuid() != 0 or not shutil.which("setpriv") or not shutil.which("unshare")
pytestmark = pytest.mark.skipif(WITHOUT_ROOT, reason="needs root, and util-linux's unshare and setpriv")

# Only its own folders can be written; all else is read-only, whoever asks.
PREPARE = """
umask "$1" && shift
for each in "$STATE_DIRECTORY" "$RUNTIME_DIRECTORY" "$CACHE_DIRECTORY"; do mount --bind "$each" "$each" || exit 99; done
for each in / /dev/shm; do mount -o remount,bind,ro "$each" || exit 99; done
cd "$STATE_DIRECTORY" && exec "$@"
"""


class Service:
    """Folders as systemd makes them for an instance, with the values of the service file."""

    def __init__(self, place: Path) -> None:
        place.chmod(0o755)
        self.etc = place / "etc"
        self.state, self.runtime, self.cache = (place / each for each in ("state", "run", "cache"))
        self.etc.mkdir()
        for folder in (self.state, self.runtime, self.cache):
            folder.mkdir(mode=0o755)
            os.chown(folder, -1, GROUP)
        self.unit = (JETSON / UNIT).read_text()
        (self.umask,) = re.findall(r"(?m)^UMask=(\d+)$", self.unit)
        assert "\nProtectSystem=strict\n" in self.unit

    def start(self, settings: str) -> subprocess.Popen[str]:
        (self.etc / "front.toml").write_text(settings)
        folders = {"STATE_DIRECTORY": self.state, "RUNTIME_DIRECTORY": self.runtime, "CACHE_DIRECTORY": self.cache}
        environment = {each: str(folder) for each, folder in folders.items()} | {"HOME": str(self.state)}
        user = ["setpriv", f"--regid={GROUP}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
        camera = [sys.executable, "-m", "edgeseg.runtime", "--config", str(self.etc / "front.toml")]
        return subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", PREPARE, "sh", self.umask, *user, *camera],
            env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def connect_as(self, group: int, path: Path) -> int:
        """Connect as another user, of a group; return the error's number, or 0."""
        groups = os.getgroups()
        os.setgroups([group])
        os.setegid(READER)
        os.seteuid(READER)
        try:
            with socket.socket(socket.AF_UNIX) as channel:
                return channel.connect_ex(str(path))
        finally:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(groups)


@pytest.fixture
def service(memory_path: Path) -> Service:
    if subprocess.run(["unshare", "--mount", "mount", "-o", "remount,bind,ro", "/"], capture_output=True).returncode:
        pytest.skip("no mounts may be made here")
    return Service(memory_path)


def test_outputs_land_in_its_folder_and_its_group_can_read_the_masks(
    service: Service, write_model: Callable[..., Path]
) -> None:
    model = shutil.copy(write_model(), service.etc)
    masks = service.runtime / "masks.sock"
    camera = service.start(
        f'source = "scenes://?size=64x48"\nmodel = "{Path(model).name}"\nbackend = "onnxruntime-cpu"\n'
        f'output = ["file://drive.mkv", "unix://{masks}"]\nstats = "stats.jsonl"\n'
    )
    try:
        end = time.monotonic() + 30
        while (
            not (masks.exists() and any(service.state.glob("drive*")))
            and camera.poll() is None
            and time.monotonic() < end
        ):
            time.sleep(0.05)
        assert masks.exists(), camera.communicate(timeout=5)
        assert service.connect_as(GROUP, masks) == 0
        assert service.connect_as(READER, masks) == errno.EACCES
    finally:
        camera.terminate()
        said = camera.communicate(timeout=30)[0]
    assert camera.returncode == 0, said
    assert (service.state / "drive.mkv").stat().st_size
    assert (service.state / "stats.jsonl").exists()
    assert sorted(each.name for each in service.etc.iterdir()) == ["colours.onnx", "front.toml"]
