"""The tree is as CONTRIBUTING.md, pyproject.toml and the documents say; no module is imported to see that."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeseg.core.toml import parse_toml
from tests.helpers.places import ROOT

MOST_FILES = 25  # of a folder: more are seldom one thing
CODE = ("edgeseg", "runtime", "export")
PYPROJECT = parse_toml((ROOT / "pyproject.toml").read_text(), "pyproject.toml", "TOML")
DOCUMENTS = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]
ROOMS_OF_KINDS = {
    "runtime/sources/kinds": [("runtime/sources/registry.py", "READERS")],
    "runtime/sinks/kinds": [("runtime/sinks/registry.py", "SINKS")],
    "runtime/engines/backends": [("runtime/engines/registry.py", "BACKENDS")],
    # A dataset.toml is named by its path: it is in no row of the table that users read.
    "edgeseg/data/formats": [("edgeseg/data/registry.py", "FORMATS"), ("edgeseg/data/registry.py", "DECLARED_FORMAT")],
}
INITS_WITH_CODE = {"edgeseg", "edgeseg/data", "edgeseg/scenes", "runtime"}  # docs/decisions/0005-rooms.md says why
PLANNED = {"edgeseg/drives/"}  # in docs/architecture.md, not yet here


def folders_of_code(*tops: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each folder that holds *.py files, relative to the root, with their names; links are not followed."""
    for top in tops:
        for folder, _, names in os.walk(ROOT / top):
            files = sorted(name for name in names if name.endswith(".py"))
            if files:
                yield Path(folder).relative_to(ROOT).as_posix(), files


def documented_rooms() -> list[tuple[str, str]]:
    """Return the folders of code in the tables of CONTRIBUTING.md, with what their last column says."""
    rows = re.findall(r"^\| `([\w/]+)/` \|.*\|([^|]*)\|$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    return [(folder, cell) for folder, cell in rows if folder.partition("/")[0] in CODE]


def module_of(folder: str) -> str:
    """Return the import name of a folder: `export` and `runtime` are parts of edgeseg."""
    name = folder.replace("/", ".")
    return name if name.partition(".")[0] == "edgeseg" else f"edgeseg.{name}"


def path_of(module: str) -> Path:
    """Return a package's folder, or a module's file, whether it is there or not."""
    path = ROOT / module.replace(".", "/")
    return path if path.is_dir() else path.with_name(f"{path.name}.py")


def names_in(path: Path) -> set[str]:
    """Return the classes, functions and values of a module; of a package what its __init__.py names for users."""
    if path.is_dir():
        return set(re.findall(r"\w+", (path / "__init__.py").read_text()))
    body = ast.parse(path.read_text()).body
    names = {node.name for node in body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    values = [each for node in body if isinstance(node, (ast.Assign, ast.AnnAssign)) for each in ast.walk(node)]
    names |= {each.id for each in values if isinstance(each, ast.Name)}
    return names | {str(each.value) for each in values if isinstance(each, ast.Constant)}  # of __all__


def rows_of(file: str, name: str) -> set[str]:
    """Return the texts `module:Name` within a file's table, or function, `name`."""
    for node in ast.parse((ROOT / file).read_text()).body:
        targets = [each.id for each in getattr(node, "targets", []) if isinstance(each, ast.Name)]
        if name in (*targets, getattr(node, "name", "")):
            texts = [each.value for each in ast.walk(node) if isinstance(each, ast.Constant)]
            return {text for text in texts if isinstance(text, str) and re.fullmatch(r"edgeseg[\w.]+:\w+", text)}
    raise AssertionError(f"{file} has no {name}")


def is_there(dotted: str) -> bool:
    """Whether `edgeseg.room.module` or `edgeseg.room.module.Name` can be imported."""
    module, _, name = dotted.rpartition(".")
    return path_of(dotted).exists() or (path_of(module).exists() and name in names_in(path_of(module)))


def test_contributing_names_each_room_once_and_nothing_else() -> None:
    assert sorted(folder for folder, _ in documented_rooms()) == sorted(folder for folder, _ in folders_of_code(*CODE))


@pytest.mark.parametrize("container", ["edgeseg", "edgeseg.runtime", "edgeseg.data"])
def test_contributing_says_what_a_room_may_import_as_the_contract_does(container: str) -> None:
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each.get("containers") == [container])
    rows = [{name for name in layer.split(" | ") if not name.startswith("(")} for layer in layers]
    for row, below in zip(rows, [*rows[1:], set()], strict=True):
        for folder, cell in documented_rooms():
            parent, _, name = module_of(folder).rpartition(".")
            if parent == container and name in row:
                assert set(re.findall(r"`(\w+)`", cell)) == below, folder


def test_no_folder_of_code_is_crowded() -> None:
    counts = {folder: len(files) for folder, files in folders_of_code(*CODE, "tests", "benchmarks")}
    assert not {folder: count for folder, count in counts.items() if count > MOST_FILES}


def test_the_root_of_edgeseg_holds_rooms_links_and_four_files() -> None:
    held = list((ROOT / "edgeseg").iterdir())
    assert {path.name for path in held if path.is_symlink()} == {"export", "jetson", "runtime"}
    assert {path.name for path in held if not path.is_dir()} == {"__init__.py", "__main__.py", "py.typed", "tf.py"}


@pytest.mark.parametrize("room", ROOMS_OF_KINDS)
def test_each_kind_has_a_row_and_each_row_is_of_a_kind(room: str) -> None:
    rows = {row for table in ROOMS_OF_KINDS[room] for row in rows_of(*table)}
    kinds = {path.stem for path in (ROOT / room).iterdir() if path.suffix == ".py" or any(path.glob("*.py"))}
    prefix = f"{module_of(room)}."
    assert all(row.startswith(prefix) for row in rows), rows
    assert {re.split(r"[.:]", row.removeprefix(prefix))[0] for row in rows} == kinds - {"__init__"}
    for row in rows:
        module, _, name = row.partition(":")
        assert name in names_in(path_of(module)), row


def test_init_files_hold_no_code() -> None:
    with_code = set()
    for folder, files in folders_of_code(*CODE, "tests"):
        if "__init__.py" in files:
            tree = ast.parse((ROOT / folder / "__init__.py").read_text())
            assert ast.get_docstring(tree), f"{folder}/__init__.py says not what the room is"
            with_code |= {folder} if len(tree.body) > 1 else set()
    assert with_code == INITS_WITH_CODE


def test_pyproject_lists_every_package_and_nothing_else() -> None:
    listed = PYPROJECT["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted(module_of(folder) for folder, _ in folders_of_code(*CODE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_a_document_names_is_there(document: Path) -> None:
    text = document.read_text()
    files = set(re.findall(r"`((?:edgeseg|runtime|export|tests|benchmarks|jetson|docs)/[\w./@-]+)`", text))
    missing = {file for file in files if not (ROOT / file).exists()}
    assert missing == (PLANNED if document.name == "architecture.md" else set())
    assert not [name for name in re.findall(r"(?:`|import |from )(edgeseg(?:\.\w+)+)", text) if not is_there(name)]


def program_texts(path: Path) -> Iterator[str]:
    """Yield the texts in a file that look like programs: they are run as they stand, so no type checker sees them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(each.value) if isinstance(each, ast.Constant) else "_" for each in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_what_programs_within_texts_import_is_there() -> None:
    missing = set()
    for folder, files in folders_of_code(*CODE, "tests", "benchmarks"):
        for text in (text for file in files for text in program_texts(ROOT / folder / file)):
            for module, names in re.findall(r"from (edgeseg[\w.]*) import ([\w, ]+)", text):
                imported = {f"{module}.{name.split()[0]}" for name in names.split(",")}
                missing |= {f"{folder}: {name}" for name in imported if not is_there(name)}
    assert not missing
