"""A bundle made by hand, small and quick, and a system in a folder on which install.sh works."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tests.helpers.places import ROOT

JETSON = ROOT / "jetson"
INSTALL = JETSON / "install.sh"
UNIT = "edgeseg-camera@.service"
CODE_OF_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

# What a bundle installs, as far as install.sh can see: the self-test compares two files instead of masks.
PROGRAM = """#!/bin/sh
name=$(basename "$0")
case "$name $1" in
  "edgeseg engine")
    engine=${3%.onnx}.engine
    shift 4
    echo "$*" | sed '/^$/d' >"$engine" ;;
  "edgeseg doctor") echo "good  Python" ;;
  "edgeseg replay")
    golden=$2 model=$4
    while [ $# -gt 1 ]; do [ "$1" = --json ] && json=$2; [ "$1" = --budgets ] && budgets=$2; shift; done
    grep -q '^equal_pixels = 0.999$' "$budgets" || exit 2
    cmp -s "$golden/expected" "$model" || { echo "BROKEN masks.equal_pixels"; exit 1; }
    printf '{"masks": {"equal_pixels": 0.9995}, "frame": {"p50": 12.5}}' >"$json" ;;
  "edgeseg-camera --config")
    ! grep -q unknown "$2" || { echo "$2: unknown" >&2; exit 2; }
    sed -n 's/^#//p' "$2"
    ! grep -q secret "$2" || [ -f "$(dirname "$2")/camera.secret" ] ;;
  *) exit 2 ;;
esac
"""
# Stands for pip: a wheel that can be run as pip's own can, quicker by a second.
PIP = """
import os, shutil, sys
from pathlib import Path
wheels = Path(sys.argv[sys.argv.index("--find-links") + 1])
assert {"--no-index", "--ignore-installed", "--isolated"} <= set(sys.argv), sys.argv
with open(os.environ["STATE"] + "/pip", "a", errors="surrogateescape") as file:
    print(*sys.argv, file=file)
for name in ("edgeseg", "edgeseg-camera"):
    shutil.copy(wheels / "program.whl", Path(sys.prefix) / "bin" / name)
    os.chmod(Path(sys.prefix) / "bin" / name, 0o755)
"""
# systemd's manager, as far as install.sh talks to it. What a camera does stands in the model: with "crash" it never
# runs and cannot be stopped, with "dies" it is up when it is looked at first; both are restarted for ever.
SYSTEMCTL = """#!/bin/sh
echo "$@" >>"$STATE/calls"
case $1 in
  --root=*) root=${1#--root=} verb=$2 ;;
  *) root= verb=$1 ;;
esac
for unit in "$@"; do :; done
model=$(cat "$CURRENT/model/model.onnx" 2>/dev/null)
grep -qsx "$unit" "$STATE/unplugged" && model=crash
case $verb in
  list-units)
    [ -f "$STATE/running" ] || exit 0
    while read -r unit; do
      grep -qsx "$unit" "$STATE/unplugged" && echo "$unit loaded activating auto-restart" ||
        echo "$unit loaded active running"
    done <"$STATE/running" ;;
  start)
    rm -f "$STATE/shown"
    echo "$model" >"$STATE/started"
    shift
    for unit in "$@"; do [ "$unit" = --no-block ] || echo "$unit" >>"$STATE/running"; done ;;
  stop) rm -f "$STATE/running"; ! grep -qsx crash "$STATE/started" ;;
  show)
    case $* in *ActiveEnter*) echo ActiveEnterTimestampMonotonic=${ENTERED:-1000000}; exit ;; esac
    printf x >>"$STATE/shown"
    shown=$(wc -c <"$STATE/shown")
    case $model in
      crash) echo "NRestarts=$shown"; echo ActiveState=activating ;;
      dies*) echo "NRestarts=$((shown - 1))"; echo ActiveState=active ;;
      *) echo NRestarts=0; grep -qsx "$unit" "$STATE/running" && echo ActiveState=active || echo ActiveState=inactive ;;
    esac ;;
  enable)
    mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
    ln -sf "/etc/systemd/system/edgeseg-camera@.service" "$root/etc/systemd/system/multi-user.target.wants/$unit" ;;
esac
"""
# An environment in a thousandth of the time; all else is the real interpreter.
PYTHON = """#!/bin/sh
if [ "$1 $2 $3" = "-I -m venv" ]; then
  for folder in "$@"; do :; done
  mkdir -p "$folder/bin"
  cat >"$folder/bin/python" <<END
#!/bin/sh
exec "$REAL_PYTHON" -S -c "import runpy, sys; sys.prefix = '$folder'
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name='__main__')" "\\$@"
END
  chmod +x "$folder/bin/python"
  exit
fi
exec "$REAL_PYTHON" -S "$@"
"""


def copy_installer(folder: Path) -> None:
    shutil.copy(INSTALL, folder)
    shutil.copytree(JETSON / "installer", folder / "installer", ignore=shutil.ignore_patterns("__pycache__"))


def sha256sums(folder: Path) -> str:
    files = sorted(each for each in folder.rglob("*") if each.is_file() and each.name != "SHA256SUMS")
    return "".join(f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.relative_to(folder)}\n" for each in files)


def make_bundle(
    place: Path, model: str = "net", target: str = "jetpack6", golden: str | None = None, **manifest: object
) -> Path:
    """Write a bundle's folder and return it; `model` is its model's name and content, `golden` what it should be."""
    folder = place / f"edgeseg-0.1.0-{model}"
    for each in ("wheels", "model", "golden"):
        (folder / each).mkdir(parents=True)
    (folder / "model" / f"{model}.onnx").write_text(model)
    (folder / "golden" / "expected").write_text(model if golden is None else golden)
    (folder / "wheels" / "program.whl").write_text(PROGRAM)
    with zipfile.ZipFile(folder / "wheels" / "pip-0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("pip/__main__.py", PIP)
    (folder / "requirements.txt").write_text("edgeseg==0.1.0\n")
    (folder / "camera.toml").write_text('source = "csi://0"\nmodel = "/opt/edgeseg/current/model/model.onnx"\n')
    copy_installer(folder)
    for name in ("jetpacks.tsv", "entrypoint.sh"):
        shutil.copy(JETSON / name, folder)
    (folder / UNIT).write_text(f"{(JETSON / UNIT).read_text()}# of {model}\n")  # each version has another
    found = {
        "format": 1, "edgeseg": "0.1.0", "id": f"id-{model}", "target": target, "python": CODE_OF_PYTHON,
        "machine": platform.machine(), "model": {"file": f"model/{model}.onnx"}, "limits": {"equal_pixels": 0.999},
        "packages": {}, "backend": "tensorrt",
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(found | manifest))
    (folder / "SHA256SUMS").write_text(sha256sums(folder))
    return folder


def archive(folder: Path) -> Path:
    path = folder.with_suffix(".tar.gz")
    with tarfile.open(path, "w:gz", compresslevel=1) as file:
        file.add(folder, folder.name)
    return path


class Device:
    """A system in a folder: /etc, /opt and a service manager of its own. JetPack's modules are two lines each."""

    def __init__(self, place: Path, l4t: str = "36, 4.3", is_booted: bool = True) -> None:
        self.root, self.state, self.modules = (place / each for each in ("root", "state", "modules"))
        self.programs = programs = place / "bin"
        for each in (self.root / "etc", self.state, self.modules, programs):
            each.mkdir(parents=True)
        major, revision = l4t.split(", ")
        (self.root / "etc/nv_tegra_release").write_text(f"# R{major} (release), REVISION: {revision}, GCID: 1\n")
        if is_booted:
            (self.root / "run/systemd/system").mkdir(parents=True)
        (self.modules / "cv2.py").write_text(
            "__version__ = '4.8.0'\ndef getBuildInformation(): return ' GStreamer: YES'"
        )
        (self.modules / "tensorrt.py").write_text("__version__ = '10.3.0'\n")
        for name, text in (("systemctl", SYSTEMCTL), ("python3", PYTHON)):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHON": str(programs / "python3"),
            "REAL_PYTHON": sys.executable,
            "PYTHONPATH": str(self.modules),
            "STATE": str(self.state),
            "CURRENT": str(self.base / "current"),
            "TMPDIR": str(place),
        }

    @property
    def base(self) -> Path:
        return self.root / "opt/edgeseg"

    @property
    def current(self) -> str | None:
        return self._version("current")

    @property
    def previous(self) -> str | None:
        return self._version("previous")

    @property
    def running(self) -> list[str]:
        path = self.state / "running"
        return path.read_text().split() if path.exists() else []

    def install(self, *arguments: object, code: int = 0, **environment: str) -> str:
        """Run install.sh, expect its exit code, and return all that it said."""
        done = self.start(*arguments, environment=environment)
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        return said

    def start(
        self, *arguments: object, before: Sequence[str] = (), environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*before, "bash", str(INSTALL), "--root", str(self.root), "--watch", "0", *map(str, arguments)],
            env=self.environment | (environment or {}),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            start_new_session=True,
        )

    def works(self) -> bool:
        """Whether the version that would boot passes its own self-test."""
        version = self.base / "current"
        budgets = self.state / "budgets.toml"
        budgets.write_text("[masks]\nequal_pixels = 0.999\n")
        command = [version / "venv/bin/edgeseg", "replay", version / "golden", "--model", version / "model/model.onnx"]
        command += ["--budgets", budgets, "--json", self.state / "json"]
        done = subprocess.run([str(word) for word in command], capture_output=True)
        return done.returncode == 0 and (version / "tested").is_file()

    def files(self) -> dict[str, str]:
        """Every file, folder and link with its content."""
        return {
            str(path.relative_to(self.root)): (
                os.readlink(path) if path.is_symlink() else path.read_bytes().hex() if path.is_file() else ""
            )
            for path in sorted(self.root.rglob("*"))
        }

    def _version(self, link: str) -> str | None:
        path = self.base / link
        return path.resolve(strict=True).name if path.is_symlink() else None
