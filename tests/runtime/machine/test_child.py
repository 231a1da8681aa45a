"""What edgeseg starts takes no code from the current folder and no secret from the environment."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeseg.runtime.machine import child
from tests.helpers.places import ROOT
from tests.helpers.traps import Traps

WriteModel = Callable[..., Path]

SCRIPTS = Path(sysconfig.get_path("scripts"))
# What begins a process, whoever does it.
STARTERS = {"run", "call", "check_call", "check_output", "Popen", "getoutput"}


@pytest.fixture
def traps(tmp_path: Path) -> Traps:
    return Traps(tmp_path / "traps")


@pytest.mark.parametrize("command", ["edgeseg-camera scenes://?size=64x64 --frames 1 --quiet", "edgeseg doctor"])
def test_a_console_script_and_what_it_starts_import_nothing_from_the_current_folder(command: str, traps: Traps) -> None:
    program, *arguments = command.split()
    done = subprocess.run([SCRIPTS / program, *arguments], cwd=traps.folder, capture_output=True, text=True)
    assert (done.returncode, traps.sprung) == (0, ""), done.stderr


@pytest.mark.parametrize(
    ("module", "arguments", "said"),
    [
        ("pip", ["--version"], "pip "),
        ("edgeseg.__main__", ["models", "--help"], "Usage"),
        ("edgeseg.runtime.commands.engine", ["build", "none.onnx"], "none.onnx"),
        ("edgeseg.runtime.machine.probes", ["opencv"], '{"version"'),
        ("edgeseg.runtime.machine.probes", ["pycuda"], '{"error"'),
    ],
)
def test_a_child_of_a_shell_imports_nothing_from_the_current_folder(
    module: str, arguments: list[str], said: str, traps: Traps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.chdir(traps.folder)
    done = child.run_child(module, *arguments, capture_output=True, text=True)
    assert (done.stdout + done.stderr).find(said) >= 0
    assert traps.sprung == ""


SESSION = """
import os, edgeseg.runtime
masks = lambda: len(list(edgeseg.runtime.stream("scenes://?size=72x128", {model!r}, frames=2)))
first = masks()
os.chdir({folder!r})
print(first, masks())
"""


@pytest.mark.parametrize("how", ["script", "shell"])
def test_the_python_api_starts_nothing_from_the_current_folder(
    how: str, tmp_path: Path, traps: Traps, write_model: WriteModel
) -> None:
    """A shell looks in the current folder for what it imports itself, by Python's rules: so it has all it needs."""
    session = SESSION.format(folder=str(traps.folder), model=str(write_model()))
    if how == "script":
        (tmp_path / "own").mkdir()
        script = tmp_path / "own" / "script.py"
        script.write_text(session)
        done = subprocess.run([sys.executable, script], cwd=traps.folder, capture_output=True, text=True)
    else:
        command = [sys.executable, "-i", "-q"]
        done = subprocess.run(command, cwd=tmp_path, input=f"{session}\n", capture_output=True, text=True)
    assert (traps.sprung, done.stdout) == ("", "2 2\n"), done.stderr


PATH_OF_CHILD = "from edgeseg.runtime.machine.child import child_path; import json; print(json.dumps(child_path()))"


def path_of_child(*command: str | Path, cwd: Path, **variables: str) -> list[str]:
    environment = {**os.environ, **variables}
    said = subprocess.run([sys.executable, *command], cwd=cwd, env=environment, capture_output=True, check=True).stdout
    found: list[str] = json.loads(said)
    return found


def test_only_a_current_folder_that_python_itself_put_there_is_dropped(tmp_path: Path) -> None:
    here, other = tmp_path / "here", tmp_path / "other"
    for folder in (here, other):
        folder.mkdir()
        (folder / "program.py").write_text(PATH_OF_CHILD)
    assert str(here) not in path_of_child("-m", "program", cwd=here)
    assert str(here) not in path_of_child(here / "program.py", cwd=here)
    assert "" not in path_of_child("-c", PATH_OF_CHILD, cwd=here)
    assert path_of_child(other / "program.py", cwd=here)[0] == str(other)
    for way in (["-m", "program"], ["-c", PATH_OF_CHILD], [here / "program.py"]):
        assert path_of_child(*way, cwd=here, PYTHONPATH=str(here)).count(str(here)) == 1
    ours = f"import sys; sys.path.insert(0, {str(here)!r}); {PATH_OF_CHILD}"
    assert path_of_child("-c", ours, cwd=here)[0] == str(here)


def test_a_source_tree_that_was_never_installed_is_found_behind_all_else(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "edgeseg").symlink_to(ROOT / "edgeseg")
    (tree / "program.py").write_text(PATH_OF_CHILD)
    found = path_of_child("-m", "program", cwd=tree)
    assert (found.count(str(tree)), found[-1]) == (1, str(tree))


def test_a_child_gets_the_environment_without_secrets_and_python_s_switches(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {"LD_LIBRARY_PATH": "/opt/lib", "GST_DEBUG": "0", "DISPLAY": ":9", "PYTHONUSERBASE": "/home/me/.local"}
    dropped = {child.CREDENTIALS_VARIABLE: "me:word", "PYTHONINSPECT": "1", "PYTHONPATH": "", "PYTHONSTARTUP": "x.py"}
    for name, value in (kept | dropped).items():
        monkeypatch.setenv(name, value)
    done = child.run_program("env", "-0", capture_output=True, text=True)
    found = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
    assert kept.items() <= found.items()
    assert not set(dropped) & set(found)
    assert found == {name: value for name, value in os.environ.items() if name not in dropped and name in found}
    missing = set(os.environ) - set(found) - set(dropped)
    assert all(name.startswith("PYTHON") for name in missing)


def test_a_program_is_not_taken_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho taken\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    for path in ("", ".", f":{os.defpath}"):
        monkeypatch.setenv("PATH", path)
        with pytest.raises(FileNotFoundError):
            child.run_program("nvidia-smi")


def test_every_process_is_started_by_one_file() -> None:
    starts = []
    for file in (path for top in ("edgeseg", "runtime", "export") for path in (ROOT / top).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = getattr(node.func.value, "id", "")
                name = node.func.attr
                if (owner == "subprocess" and name in STARTERS) or (
                    owner == "os" and name.startswith(("exec", "spawn", "posix_spawn", "system", "popen", "fork"))
                ):
                    starts.append(f"{file.relative_to(ROOT)}: {owner}.{name}")
    assert {each.partition(":")[0] for each in starts} == {"runtime/machine/child.py", "runtime/service/installer.py"}
