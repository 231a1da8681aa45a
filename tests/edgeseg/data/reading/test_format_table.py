"""The table of formats in docs/data.md has a row for each, and each row names tests that exist and are not skipped."""

from __future__ import annotations

import re
from inspect import signature

import pytest

from edgeseg.data.reading.drawn import EDGES, KINDS_LEFT_OUT
from edgeseg.data.registry import DECLARED, FORMATS
from tests.helpers.places import ROOT

SECTION = (
    (ROOT / "docs" / "data.md").read_text().partition("\n## What each format leaves out\n")[2].partition("\n## ")[0]
)
ROWS = {
    cells[0].strip(" `:"): [cell.strip() for cell in cells[1:]]
    for line in SECTION.splitlines()
    if line.startswith("| `")
    for cells in [line.strip("|").split("|")]
}
HEADINGS = ["format", "edges", "left out, and counted", "lossy", "tests"]


def test_there_is_a_row_for_each_format_and_nothing_else() -> None:
    assert list(ROWS) == [*FORMATS, DECLARED]
    assert f"| {' | '.join(HEADINGS)} |" in SECTION
    assert all(len(cells) == len(HEADINGS) - 1 and all(cells) for cells in ROWS.values())


@pytest.mark.parametrize("name", ROWS)
def test_the_tests_of_a_row_exist(name: str) -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", ROWS[name][-1])
    assert named
    for file, test in named:
        text = (ROOT / "tests" / "edgeseg" / "data" / file).read_text()
        marks = re.search(rf"((?:^@.*\n(?:^[ )].*\n)*)*)^def {test}\(", text, re.MULTILINE)
        assert marks, f"{file} has no {test}"
        assert "skip" not in marks[1]
        assert "faults" not in marks[1]


@pytest.mark.parametrize("name", FORMATS)
def test_the_edges_of_a_row_are_those_of_the_format(name: str) -> None:
    """The option `edges` is that of formats that draw; unsaid, CVAT's are pixel ones but for ellipses."""
    kind = FORMATS[name].load()
    edges = signature(kind).parameters.get("edges")
    assert ("edges" in kind.OPTIONS) == ("leave_out" in kind.OPTIONS) == (edges is not None)
    assert ROWS[name][0] == (edges.default or "pixel") if edges else ROWS[name][0] not in EDGES


def test_the_kinds_that_may_be_left_out_are_listed() -> None:
    listed = SECTION.partition("The kinds\nare ")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == set(KINDS_LEFT_OUT)
