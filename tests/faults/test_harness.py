"""The harness itself: what it finds where something is wrong. And few inputs of each sort, as a first line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from edgeseg.core.errors import ModelError, SourceError
from tests.faults import fuzzing
from tests.faults.fuzzing import FUZZERS, Fuzzer, WrongError, fuzz_apart
from tests.faults.process import Case, run_case
from tests.faults.table import BEGIN, END, table, write_into
from tests.faults.verdict import CODE, HUNG, LEAK, SECRET, TRACEBACK, Row

ANY = frozenset({0, 1, 3, -9})


def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, **details: Any) -> set[str]:
    """Return the kinds of what is found where this program is run as the command."""
    (tmp_path / "foreign.py").write_text(textwrap.dedent(program))
    environment = {"PYTHONPATH": str(tmp_path), **details.pop("environment", {})}
    case = Case("x", (), details.pop("codes", ANY), program="foreign", environment=environment, **details)
    return {finding.kind for finding in run_case(case)}


@pytest.mark.parametrize(
    ("program", "details", "kinds"),
    [
        ("pass", {}, set()),
        ("1 / 0", {}, {TRACEBACK}),
        ("import os; os.kill(os.getpid(), 11)", {}, {CODE}),
        ("import sys; sys.exit(3)", {"codes": frozenset({2})}, {CODE}),
        ("import sys; print('a\\nb', file=sys.stderr)", {"lines": 1}, {CODE}),
        ("print('rtsp://me:p%40ss@h')", {"secret": "p@ss"}, {SECRET}),
        ("open('summary.json', 'w').write('hunter2')", {"secret": "hunter2"}, {SECRET}),
        ("import tempfile; tempfile.mkstemp()", {}, {LEAK}),
        ("open('.x.partial.png', 'w')", {}, {LEAK}),
        ("open('.x.partial.png', 'w')", {"keeps_partial": True}, set()),
        ("import subprocess; subprocess.Popen(['sleep', '60'])", {}, {LEAK}),
        ("import subprocess; subprocess.run(['sleep', '1', 'x'[:0] or '0.1'])", {"secret": "zz"}, set()),
        ("import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(1)', 'hunter2'])",
         {"secret": "hunter2"}, {SECRET}),
        ("import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(1)'])",
         {"secret": "hunter2", "environment": {"WORD": "hunter2"}}, {SECRET}),
    ],
)  # fmt: skip
def test_what_must_not_be_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, details: dict[str, Any], kinds: set[str]
) -> None:
    monkeypatch.setattr("tests.faults.process._GRACE_S", 0.3)
    assert found(tmp_path, monkeypatch, program, **details) == kinds


def test_a_process_that_does_not_end_is_found_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.faults.process._LONGEST_S", 0.5)
    assert HUNG in found(tmp_path, monkeypatch, "import time; time.sleep(60)")


class OddFuzzer(Fuzzer):
    """Its inputs are the numbers of what goes wrong."""

    codes = frozenset({4})
    secret = "hunter2"

    def make(self, draw: Random) -> int:
        return draw.randrange(7)

    def use(self, made: int) -> str:
        if made == 0:
            raise ValueError("unforeseen")
        if made == 1:
            raise SourceError("the wrong code")
        if made == 2:
            raise ModelError("refused")
        if made == 3:
            raise WrongError("taken")
        if made == 4:
            return "it says hunter2"
        if made == 5:
            self.kept = [*getattr(self, "kept", []), os.open(os.devnull, os.O_RDONLY)]
        return "fine"


def test_what_fuzzed_inputs_bring_about_is_found_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FUZZERS, "odd", "tests.faults.test_harness:OddFuzzer")
    monkeypatch.setattr(fuzzing, "_fuzzer", lambda kind, folder: OddFuzzer(folder))
    row = fuzzing.fuzz("odd", 1, 0, 70)
    made = [Random(f"odd 1 {index}").randrange(7) for index in range(70)]
    assert (row.thrown, row.refused) == (70, made.count(1) + made.count(2))
    assert row.count(TRACEBACK) == made.count(0)
    assert row.count(CODE) == made.count(1) + made.count(3)
    assert row.count(SECRET) == made.count(4)
    assert row.count(LEAK) == 1


def test_an_input_that_ends_the_process_is_known_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "crash.py").write_text(
        textwrap.dedent("""
        import os
        import sys
        from tests.faults import fuzzing
        from tests.faults.test_harness import OddFuzzer
        class Crashing(OddFuzzer):
            def use(self, made):
                if made == 3:
                    os.kill(os.getpid(), 11)
                return ""
        fuzzing._fuzzer = lambda kind, folder: Crashing(folder)
        from tests.faults.fuzz import main
        main()
    """)
    )
    real = subprocess.run
    monkeypatch.setattr(
        "tests.faults.fuzzing.subprocess.run",
        lambda arguments, **options: real([sys.executable, str(tmp_path / "crash.py"), *arguments[3:]],
                                          **{**options, "env": {**options["env"], "PYTHONPATH": os.getcwd()}}),
    )  # fmt: skip
    row = fuzz_apart("odd", 2, 8, block=8)
    crashes = [index for index in range(8) if Random(f"odd 2 {index}").randrange(7) == 3]
    assert row.thrown == 8
    assert [finding.fault for finding in row.findings] == [f"odd seed 2, input {index}" for index in crashes]
    assert crashes


@pytest.mark.faults
@pytest.mark.parametrize("kind", FUZZERS)
def test_some_fuzzed_inputs_of_each_sort_do_nothing_that_must_not_be(kind: str) -> None:
    row = fuzz_apart(kind, seed=77, count=150)
    assert row.thrown == 150
    assert not row.findings, "\n".join(map(str, row.findings))


def test_the_table_has_sums_and_takes_its_place_in_a_document(tmp_path: Path) -> None:
    rows = [Row("bad commands", 3), Row("spec", 1200, 1100, is_fuzzed=True), Row("toml", 800, 700, is_fuzzed=True)]
    text = table(rows, seed=5, minutes=2.4)
    assert "| **fuzzed inputs** | 2,000 | 1,800 | 0 |" in text
    assert "--seed 5`, 2 minutes" in text
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_into(page, text)
    written = page.read_text()
    assert written.startswith(f"before\n{BEGIN}")
    assert written.endswith(f"{END}\nafter\n")
    assert "old" not in written
    assert text in written


def test_a_signal_reaches_the_process_of_a_case(tmp_path: Path) -> None:
    (tmp_path / "foreign.py").write_text("import time; time.sleep(60)")
    began = time.monotonic()
    case = Case("x", (), frozenset({-9}), program="foreign", environment={"PYTHONPATH": str(tmp_path)},
                act=lambda running: running.send(signal.SIGKILL))  # fmt: skip
    assert run_case(case) == []
    assert time.monotonic() - began < 30
