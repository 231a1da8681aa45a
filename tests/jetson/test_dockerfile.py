"""The Dockerfile's own steps, run in a folder: whether they can build an image from a bundle."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.stub_bundle import JETSON, make_bundle


def step_of_the_bundle() -> str:
    """The RUN that installs, as the shell gets it: continued lines are one."""
    text = (JETSON / "Dockerfile").read_text().replace("\\\n", "")
    found = [
        line.removeprefix("RUN ") for line in text.splitlines() if line.startswith("RUN ") and "SHA256SUMS" in line
    ]
    assert len(found) == 1
    return found[0]


def build(place: Path, bundle: Path) -> subprocess.CompletedProcess[str]:
    """Run the step with each of its places in a folder, and with another system's users."""
    command = re.sub(r"(?<![\w/])/(opt|etc|var|bundle)\b", rf"{place}/\1", step_of_the_bundle())
    command = command.replace("/usr/bin/python3", sys.executable).replace("-o 850 -g 850", "")
    programs = place / "bin"
    programs.mkdir()
    (programs / "useradd").write_text('#!/bin/sh\necho "$@" >>"$STATE/users"\n')
    (programs / "useradd").chmod(0o755)
    path = f"{place}/opt/edgeseg/current/venv/bin:{programs}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=bundle, env=os.environ | {"PATH": path, "STATE": str(place)},
        capture_output=True, text=True,
    )  # fmt: skip


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
