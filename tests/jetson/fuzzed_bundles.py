"""Fuzzed bundles against the real install.sh as root: `python -m tests.jetson.fuzzed_bundles whole COUNT SEED`,
or its two readers alone, which takes a hundredth of the time: `readers COUNT SEED`.

The whole system is seen through an overlay in a mount namespace of its own, so that what was written anywhere lies in
one folder afterwards and the system itself stays as it is. All of it but the installer's own folder, a system
prepared by `--root`, must be as it was.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.helpers.places import ROOT
from tests.helpers.signing import make_key, sign
from tests.helpers.stub_bundle import JETSON, Device, make_bundle
from tests.jetson.hostile_bundles import Hostile

# $1 is a folder for the overlay; the rest runs with the system seen through it. /proc and /dev are new ones.
ALONE = r"""
set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/written" "$1/work" "$1/seen"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/written,workdir=$1/work" "$1/seen"
mount -t proc proc "$1/seen/proc"
mount -t tmpfs tmpfs "$1/seen/dev"
mkdir -p "$1/seen/scratch"
mount -t tmpfs tmpfs "$1/seen/scratch"
for each in "null 3" "zero 5" "random 8" "urandom 9"; do mknod -m 666 "$1/seen/dev/${each% *}" c 1 "${each#* }"; done
ln -s /proc/self/fd "$1/seen/dev/fd"
place=$1
shift
chroot "$place/seen" sh -c 'cd "$0" && exec "$@"' "$PWD" "$@"
rmdir "$place/written/scratch" 2>/dev/null || true
cd "$place/written" && find . -mindepth 1 ! -type d -printf 'WRITTEN %P\n'
find "$place/seen/dev" -mindepth 1 ! -type c ! -name fd -printf 'WRITTEN dev/%P\n'
"""
TRACES = re.compile(r"Traceback|\.sh: line \d+|unbound variable|syntax error|command not found|Segmentation")


def alone(place: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as root with the system seen through an overlay; it ends with a line WRITTEN for each file."""
    words = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "sh", "-c", ALONE, "sh", str(place)]
    return subprocess.run([*words, *command], capture_output=True, text=True, errors="replace", cwd=ROOT)


def fuzz(count: int, seed: int, place: Path = Path("/scratch")) -> None:
    """Run the cases, half folders, half archives, of these half with a signature that is whole or not.

    Raises AssertionError for the first that is not refused well.
    """
    hostile = Hostile(make_bundle(place), seed)
    key, public = make_key(place, "fleet")
    came: Counter[str] = Counter()
    for number in range(count):
        shutil.rmtree(place / "device", ignore_errors=True)
        device = Device(place / "device", is_booted=False)
        bundle = hostile.archive() if number % 2 else hostile.folder()
        if number % 4 == 3:
            (device.root / "etc/edgeseg/keys").mkdir(parents=True)
            shutil.copy(public, device.root / "etc/edgeseg/keys")
            hostile.spoil_signature(sign(bundle, key, id="id-net"))
        begin = time.monotonic()
        done = device.start(bundle)
        case = f"seed {seed}, case {number}: {done.returncode}, {done.stdout}{done.stderr}"
        assert done.returncode in (0, 1), case
        assert not TRACES.search(done.stderr), case
        assert time.monotonic() - begin < 45, case
        assert not list(device.root.parent.glob("edgeseg-unpacked*")), case
        errors = done.stderr.splitlines()
        if done.returncode:
            assert 1 <= len(errors) <= 2, case
            assert errors[0].startswith("install.sh: "), case
            assert not device.base.exists(), case
        came[
            re.sub(r".*?: ", "", errors[0].replace(str(bundle), "BUNDLE"), count=1)[:18] if errors else "installed"
        ] += 1
    print(dict(came.most_common(40)))


def fuzz_readers(count: int, seed: int, place: Path = Path("/scratch")) -> None:
    """Give the two programs that read what others wrote, manifest.py and unpack.py, as many cases of each."""
    hostile = Hostile(make_bundle(place), seed)
    manifest, unpack = (runpy.run_path(str(JETSON / "installer" / name)) for name in ("manifest.py", "unpack.py"))
    unpack["main"].__globals__["limit"] = lambda archive: None  # it is this process's too
    came: Counter[object] = Counter()
    for number in range(count):
        path, folder = place / "manifest.json", place / "unpacked"
        path.write_bytes(hostile.manifest())
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, program, given in (
            ("manifest", manifest, [str(path)]),
            ("archive", unpack, [str(hostile.archive()), str(folder)]),
        ):
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                code = program["main"](*given)
            text = said.getvalue()
            assert code == 0 or (text.count("\n") == 1 and text[:-1].isprintable() and text.isascii()), (number, text)
            came[name, "taken" if code == 0 else "refused"] += 1
        odd = [each for each in folder.rglob("*") if each.is_symlink() or not (each.is_file() or each.is_dir())]
        assert not odd, (number, odd)
    print(dict(came))


if __name__ == "__main__":
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    {"whole": fuzz, "readers": fuzz_readers}[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3]))
