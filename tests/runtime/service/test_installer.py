"""edgeseg-camera --install and --rollback hand over to the installer of the installation that it belongs to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
sys.argv, sys.prefix = ["edgeseg-camera", *{arguments!r}], {prefix!r}
from edgeseg.runtime.commands.camera import main
main()
"""


def call(prefix: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(prefix=str(prefix), arguments=arguments or ("--rollback",))
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)


def installed(folder: Path) -> Path:
    """Two versions as install.sh lays them out; returns the environment of the newer one."""
    for version in ("old", "new"):
        (folder / "versions" / version / "venv").mkdir(parents=True)
        installer = folder / "versions" / version / "install.sh"
        installer.write_text(f'#!/bin/sh\necho "{version} $*"\nexit 7\n')
        installer.chmod(0o755)
    (folder / "current").symlink_to("versions/new")
    (folder / "previous").symlink_to("versions/old")
    return folder / "versions" / "new" / "venv"


def test_the_installer_of_the_version_that_runs_takes_over(tmp_path: Path) -> None:
    environment = installed(tmp_path)
    for prefix in (environment, tmp_path / "current" / "venv"):
        done = call(prefix)
        assert (done.returncode, done.stdout) == (7, "new --rollback\n"), done.stderr


def test_a_bundle_is_installed_by_its_whole_path(tmp_path: Path) -> None:
    done = call(installed(tmp_path), "--install", "-rf.tar.gz")
    assert (done.returncode, done.stdout) == (7, f"new --from {Path.cwd()}/-rf.tar.gz\n"), done.stderr


def test_elsewhere_it_is_said_in_one_line(tmp_path: Path) -> None:
    environment = installed(tmp_path)
    (tmp_path / "current").unlink()
    for prefix in (environment, tmp_path, Path(sys.prefix)):
        done = call(prefix)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert "not installed by a bundle's install.sh" in done.stderr


def test_an_installer_that_cannot_be_run_is_said(tmp_path: Path) -> None:
    environment = installed(tmp_path)
    (tmp_path / "versions" / "new" / "install.sh").chmod(0o644)
    done = call(environment)
    assert (done.returncode, "run it by" in done.stderr) == (2, True)
