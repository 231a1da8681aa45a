"""What `make test-quick` leaves out and what it fails, and that whatever calls make names targets that are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.helpers.places import ROOT

CASES = """
import importlib, subprocess, threading
import pytest

def hidden(name, *words):
    return getattr(importlib.import_module("sub" + "process"), name)(words)

def run_true():
    return subprocess.run(["true"])

@pytest.fixture
def started():
    return run_true()

def test_left_out_by_its_code(): run_true()
def test_left_out_by_its_fixture(started): pass
@pytest.mark.usefixtures("process")
def test_left_out_by_its_mark(): hidden("run", "true")
def test_passes(): pass
def test_starts_one(): hidden("run", "true")
def test_hides_that():
    try:
        hidden("run", "true")
    except BaseException:
        pass
def test_waits_for_a_thread_that_starts_one():
    done = threading.Event()
    threading.Thread(target=lambda: (hidden("run", "true"), done.set())).start()
    done.wait()
def test_imports_tensorflow(): importlib.import_module("tensor" + "flow")
"""


def test_what_is_not_quick_is_left_out_or_fails(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_cases.py").write_text(CASES)
    (tmp_path / "tests" / "test_file.py").write_text("import edgeseg.tf\ndef test_of_the_file(): assert False\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "--quick", "-c", str(ROOT / "pyproject.toml")]
    options = [f"--rootdir={tmp_path}", "-rA", "--tb=line", "-p", "no:cacheprovider", str(tmp_path / "tests")]
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=100)
    found = {name: what for what, name in re.findall(r"^(PASSED|FAILED) \S+::(\w+)", done.stdout, re.MULTILINE)}
    assert found == {
        "test_passes": "PASSED",
        "test_starts_one": "FAILED",
        "test_hides_that": "FAILED",
        "test_waits_for_a_thread_that_starts_one": "FAILED",
        "test_imports_tensorflow": "FAILED",
    }, done.stdout + done.stderr
    assert "let it use the fixture `process`" in done.stdout
    assert "1 files import TensorFlow" in done.stdout


def test_what_calls_make_names_targets_and_commits_are_checked_as_make_check_does() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    hooks = re.findall(r"entry: make ([\w-]+)", (ROOT / ".pre-commit-config.yaml").read_text())
    lines = re.findall(r"run: make ([\w -]+)", (ROOT / ".github/workflows/check.yml").read_text())
    steps = [word for line in lines for word in line.split() if word != "PYTHON"]
    checks = re.findall(r"^check: (.*)$", makefile, re.MULTILINE)[0].split()
    for found in (hooks, steps):
        assert found
        assert targets >= set(found) >= set(checks)
