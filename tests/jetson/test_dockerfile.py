"""The Dockerfile's own steps, run in a folder: whether they can build an image from a bundle."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.signing import make_key, sign
from tests.helpers.stub_bundle import JETSON, archive, make_bundle


def steps_of_the_bundle() -> list[str]:
    """The RUNs that verify and install, as the shell gets them: continued lines are one."""
    text = (JETSON / "Dockerfile").read_text().replace("\\\n", "")
    found = [line.removeprefix("RUN ") for line in text.splitlines() if line.startswith("RUN ")]
    assert len(found) == 3
    return found[1:]


def build(place: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the steps, each of their places in a folder, with another system's users; until one fails."""
    programs = place / "bin"
    programs.mkdir()
    (programs / "useradd").write_text('#!/bin/sh\necho "$@" >>"$STATE/users"\n')
    (programs / "useradd").chmod(0o755)
    path = f"{place}/opt/edgeseg/current/venv/bin:{programs}:{os.environ['PATH']}"
    for step in steps_of_the_bundle():
        command = re.sub(r"(?<![\w/])/(opt|etc|var|bundle)\b", rf"{place}/\1", step)
        command = command.replace("/usr/bin/python3", sys.executable).replace("-o 850 -g 850", "")
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command], cwd=folder, capture_output=True, text=True,
            env=os.environ | {"PATH": path, "STATE": str(place)},
        )  # fmt: skip
        if done.returncode:
            break
    return done


@pytest.mark.parametrize("model", ["net", "model"])
def test_its_steps_install_a_bundle(tmp_path: Path, model: str) -> None:
    bundle = make_bundle(tmp_path, model)
    done = build(tmp_path, bundle)
    assert done.returncode == 0, done.stderr
    current = tmp_path / "opt/edgeseg/current"
    assert (current / "model/model.onnx").read_text() == model
    assert (current / "venv/bin/edgeseg-camera").exists()
    assert os.access(current / "venv/bin/edgeseg-entrypoint", os.X_OK)
    assert 'ENTRYPOINT ["edgeseg-entrypoint"]' in (JETSON / "Dockerfile").read_text()
    assert (tmp_path / "etc/edgeseg/camera.toml").read_text().startswith("source")
    assert "requirements.txt" in (tmp_path / "pip").read_text()


def test_packages_that_cannot_be_installed_end_it(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path)
    (bundle / "wheels/program.whl").unlink()
    sums = (bundle / "SHA256SUMS").read_text().splitlines(keepends=True)
    (bundle / "SHA256SUMS").write_text("".join(line for line in sums if "program.whl" not in line))
    assert build(tmp_path, bundle).returncode != 0
    assert not (tmp_path / "etc/edgeseg/camera.toml").exists()


def context(place: Path) -> Path:
    """A folder to build from: an archive, its signature and a key."""
    folder = place / "context"
    (folder / "keys").mkdir(parents=True)
    bundle = archive(make_bundle(place)).rename(folder / "bundle.tar.gz")
    key, public = make_key(place, "fleet")
    sign(bundle, key, id="id-net")
    shutil.copy(public, folder / "keys")
    return folder


def test_a_signed_archive_is_verified_and_unpacked(tmp_path: Path) -> None:
    folder = context(tmp_path)
    sign(folder / "bundle.tar.gz", make_key(tmp_path, "new")[0], tmp_path / "fleet.key", id="id-net")
    done = build(tmp_path, folder)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "opt/edgeseg/current/model/net.onnx").exists()


def _unsigned(folder: Path) -> str:
    (folder / "bundle.tar.gz.sig").unlink()
    return "unsigned"


def _foreign(folder: Path) -> str:
    sign(folder / "bundle.tar.gz", make_key(folder.parent, "stranger")[0], id="id-net")
    return "signed by none of keys/"


def _changed(folder: Path) -> str:
    path = folder / "bundle.tar.gz"
    path.write_bytes(path.read_bytes() + b"x")
    return "changed after it was signed"


def _another_line(folder: Path) -> str:
    path = folder / "bundle.tar.gz.sig"
    path.write_text(f"sha256: {'0' * 64}\n{path.read_text()}")
    return "signed by none of keys/"


def _no_archive(folder: Path) -> str:
    (folder / "bundle.tar.gz").unlink()
    return "expected one .tar.gz"


@pytest.mark.parametrize("spoil", [_unsigned, _foreign, _changed, _another_line, _no_archive])
def test_what_is_not_signed_by_a_key_ends_the_build(tmp_path: Path, spoil: Callable[[Path], str]) -> None:
    folder = context(tmp_path)
    expected = spoil(folder)
    done = build(tmp_path, folder)
    assert (done.returncode, expected in done.stderr) == (1, True), done.stderr
    assert not (folder / "install.sh").exists()
    assert not (tmp_path / "opt").exists()
