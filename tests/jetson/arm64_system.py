"""An aarch64 Debian under qemu, in which commands run without network."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

SUITE = "bookworm"
PACKAGES = "python3,python3-opencv,systemd,openssl"  # Debian's OpenCV stands for JetPack's
BINFMT = Path("/proc/sys/fs/binfmt_misc")
# An ELF file for aarch64; F: the kernel holds the interpreter, so that it works inside the new root.
QEMU = (
    r":qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:F"
)


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
