"""The whole way on aarch64, without a Jetson: `make test-arm64`. As root on x86-64 Debian or Ubuntu; eleven minutes.

A Debian 12 of arm64 is made (debootstrap) and runs under qemu. A model is trained for a minute, exported, and bundled
for it; install.sh is run there for real and without network. The camera's masks there must be those that it makes here,
the service file must pass systemd's own judgement, an update, a rollback and the refusal of a damaged bundle are tried,
and uninstall must leave nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

EQUAL_PIXELS = 0.999
FRAMES = 5
SOURCE = "scenes://?seed=3&size={size}"
SIZES = ("512x256", "640x320")  # of the cameras of the first and the second model
SUITE = "bookworm"
PACKAGES = "python3,python3-opencv,systemd"  # Debian's OpenCV stands for JetPack's
TRAINING = "scenes:train=160,val=10,size=256x128"
BINFMT = Path("/proc/sys/fs/binfmt_misc")
# An ELF file for aarch64; F: the kernel holds the interpreter, so that it works inside the new root.
QEMU = (
    r":qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:F"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, help="keep the bare system here, and take it where it is there already")
    chosen = parser.parse_args()
    if os.geteuid() != 0 or platform.system() != "Linux":
        sys.exit("test-arm64 makes a system of its own and needs root on Linux: sudo make test-arm64")
    with tempfile.TemporaryDirectory(prefix="edgeseg-arm64-") as folder, step("all"):
        work = Path(folder)
        with step("programs"):
            get_programs()
        with emulation(), ThreadPoolExecutor() as side:
            made = side.submit(make_models_and_bundles, work)  # meanwhile: emulating takes one core
            with step("an aarch64 Debian 12"):
                root = make_system(work, chosen.base)
            models, bundles = made.result()
            run_all(System(root), work, models, bundles)
    print("\ntest-arm64: passed")


def run_all(system: System, work: Path, models: list[Path], bundles: list[Path]) -> None:
    for bundle in bundles:
        shutil.copy(bundle, system.root / "root")
    before = system.files()
    first, second = (f"/root/{bundle.name}" for bundle in bundles)
    system.run("tar", "-xzf", first, "-C", "/root")
    installer = f"{next((system.root / 'root').glob('edgeseg-*/install.sh'))}".removeprefix(str(system.root))
    with step("a damaged bundle is refused, a dry run changes nothing"):
        damaged_is_refused(system, installer)
        system.run(installer, "--dry-run")
        expect(not (system.root / "opt/edgeseg").exists(), "a dry run has left /opt/edgeseg")
    with step("install.sh"):
        system.run(installer)
    with step(f"edgeseg-camera, {FRAMES} frames"):
        equal = equal_masks(system, work, models, 0)
    print(f"  {equal:.4%} of the pixels are those of x86-64")
    expect(equal >= EQUAL_PIXELS, f"{equal:.4%} of the pixels are equal; expected {EQUAL_PIXELS:.1%}")
    with step("the service file"):
        system.run("systemd-analyze", "verify", "edgeseg-camera@camera.service")
        judge = ("systemd-analyze", "security", "--offline=true", "--threshold=30", "edgeseg-camera@camera.service")
        print(f"  {system.run(*judge, quiet=True).splitlines()[-1]}")
        wants = "etc/systemd/system/multi-user.target.wants/edgeseg-camera@camera.service"
        expect((system.root / wants).is_symlink(), "the camera does not start at boot")
    with step("an update, and the version before it back"):
        update_and_rollback(system, installer, second, work, models)
    with step("uninstall"):
        system.run(installer, "--uninstall")
    shutil.rmtree(system.root / "root" / Path(installer).parent.name)
    left = sorted(set(system.files()) - set(before))
    expect(not left, f"uninstall has left {', '.join(left[:20])}")


def damaged_is_refused(system: System, installer: str) -> None:
    (wheel, *_) = sorted((system.root / installer.lstrip("/")).parent.glob("wheels/edgeseg-*.whl"))
    whole = wheel.read_bytes()
    wheel.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    said = system.run(installer, code=1)
    expect(f"wheels/{wheel.name}" in said, "the changed file is not named")
    wheel.write_bytes(whole)


def equal_masks(system: System, work: Path, models: list[Path], version: int) -> float:
    """Record a drive there, run its frames through the model here: the share of equal pixels.

    The frames travel with their masks: Debian's OpenCV draws the scenes not to the last pixel as the wheel's does.
    """
    drive, figures = system.root / "root/drive", work / "figures.json"
    options = ["--every-frame", "--frames", str(FRAMES), "--backend", "onnxruntime-cpu", "--record", "/root/drive"]
    options += ["--give-up-seconds", "300"]  # emulation on a machine that others use starts a process in half a minute
    said = system.run(
        "edgeseg-camera",
        SOURCE.format(size=SIZES[version]),
        "--model",
        "/opt/edgeseg/current/model/model.onnx",
        *options,
    )
    expect(f"{FRAMES} processed" in said, "not every frame was processed")
    masks = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in sorted((drive / "masks").iterdir())]
    expect(len(masks) == FRAMES, f"{len(masks)} masks; expected {FRAMES}")
    for mask in masks:
        expect(mask is not None and len(np.unique(mask)) > 2, "masks of hardly any class say nothing")
    call(*EDGESEG, "replay", drive, "--model", models[version], "--backend", "onnxruntime-cpu", "--json", figures)
    shutil.rmtree(drive)
    found = json.loads(figures.read_text())
    expect(found["frames"] == FRAMES, f"{found['frames']} frames were compared")
    return float(found["masks"]["equal_pixels"])


def update_and_rollback(system: System, installer: str, bundle: str, work: Path, models: list[Path]) -> None:
    link = system.root / "opt/edgeseg/current"
    old = os.readlink(link)
    system.run(installer, bundle)
    new = os.readlink(link)
    expect(new != old, "the new version is not the current one")
    expect(equal_masks(system, work, models, 1) >= EQUAL_PIXELS, "the new version makes other masks")
    system.run("edgeseg-camera", "--rollback")
    expect(os.readlink(link) == old, "the old version is not back")
    system.run("edgeseg-camera", "--config", "/etc/edgeseg/camera.toml", "--check-config")
    system.run("edgeseg", "doctor")


class System:
    """The aarch64 system: commands run in it without network, with their own mounts and processes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, *command: str, code: int = 0, quiet: bool = False) -> str:
        # No /sys: it is the host's, and ONNX Runtime, which reads of the processor there, dies of it under qemu.
        mounts = (("proc", "proc"), ("tmpfs", "dev/shm"))
        prepare = (
            "".join(f'mount -t {kind} {kind} "$0/{place}" && ' for kind, place in mounts) + 'exec chroot "$0" "$@"'
        )
        clean = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"]
        alone = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", prepare, str(self.root)]
        return call(*alone, *clean, *command, code=code, quiet=quiet)

    def files(self) -> list[str]:
        """All but byte code, the system's copies of its lists of users, and what a boot empties."""
        found = []
        for folder, names, files in os.walk(self.root):
            names[:] = [name for name in names if name != "__pycache__"]
            found += [str(Path(folder, name).relative_to(self.root)) for name in (*names, *files)]
        return sorted(name for name in found if not re.fullmatch(r"etc/(\w+-|\.pwd\.lock)|run/.*", name))


def get_programs() -> None:
    needed = {"debootstrap": "debootstrap", "qemu-aarch64-static": "qemu-user-static", "unshare": "util-linux"}
    missing = [package for program, package in needed.items() if not shutil.which(program)]
    if missing:
        call("apt-get", "update", "-qq")
        call("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing)


@contextlib.contextmanager
def emulation() -> Iterator[None]:
    """Let the kernel run aarch64 programs by qemu; leave it as it was."""
    mounted = registered = False
    if not (BINFMT / "register").exists():
        call("mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT)
        mounted = True
    if not (BINFMT / "qemu-aarch64").exists():
        (BINFMT / "register").write_text(QEMU)
        registered = True
    try:
        yield
    finally:
        if registered:
            (BINFMT / "qemu-aarch64").write_text("-1")
        if mounted:
            call("umount", BINFMT)


def make_system(work: Path, base: Path | None) -> Path:
    root = work / "root"
    if base is None or not (base / "etc/debian_version").exists():
        fresh = base or root
        options = ["--arch=arm64", "--foreign", "--variant=minbase", f"--include={PACKAGES}"]
        mirror = [os.environ["DEBIAN_MIRROR"]] if "DEBIAN_MIRROR" in os.environ else []
        call("debootstrap", *options, SUITE, fresh, *mirror, quiet=True)
        settings = fresh / "etc/dpkg/dpkg.cfg.d/quick"
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text("force-unsafe-io\npath-exclude=/usr/share/doc/*\npath-exclude=/usr/share/locale/*\n")
        call("chroot", fresh, "/debootstrap/debootstrap", "--second-stage", quiet=True)
    if base is not None:
        call("cp", "-a", base, root)
    return root


EDGESEG = (sys.executable, "-m", "edgeseg")


def make_models_and_bundles(work: Path) -> tuple[list[Path], list[Path]]:
    with step("a model, trained and exported"):
        models = make_models(work)
    with step("bundles"):
        return models, [make_bundle(model) for model in models]


def make_models(work: Path) -> list[Path]:
    """Two files of one network: the second one is for another camera size, and makes another bundle."""
    small = ["--model", "fcn8", "--width", "0.1875", "--size", "256x128", "--epochs", "3", "--batch", "4"]
    settings = ["--learning-rate", "0.003", "--dropout", "0", "--loss", "cross_entropy", "--ema", "0"]
    settings += ["--saturation", "0", "--hue", "0", "--white-balance", "0", "--blur", "0"]
    settings += ["--rotation", "0", "--scale-min", "1"]
    call(*EDGESEG, "train", "--data", TRAINING, *small, *settings, "--out", work / "run", quiet=True)
    models = [work / "first.onnx", work / "second.onnx"]
    for model, size in zip(models, SIZES, strict=True):
        call(*EDGESEG, "export", work / "run", "--onnx", model, "--camera-size", size, quiet=True)
    return models


def make_bundle(model: Path) -> Path:
    path = model.with_suffix(".tar.gz")
    call(*EDGESEG, "bundle", "--model", model, "--jetpack", "debian12", "--out", path)
    print(f"  {path.name}: {path.stat().st_size / 1e6:.1f} MB")
    return path


def call(*command: object, code: int = 0, quiet: bool = False) -> str:
    """Run a command, show what it says unless it is quiet, expect its exit code."""
    words = [str(word) for word in command]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if not quiet:
            print(f"  | {line}", end="", flush=True)
    found = process.wait()
    if found != code:
        if quiet:
            print("".join(lines[-40:]))
        sys.exit(f"test-arm64: {' '.join(words)}: exit code {found}; expected {code}")
    return "".join(lines)


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        sys.exit(f"test-arm64: {otherwise}")


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    start = time.monotonic()
    print(f"{name} ...", flush=True)
    yield
    print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
