"""One reader for all JSON: what it refuses that Python's own takes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg.core.errors import DataError, UsageError
from edgeseg.core.json_text import DEEPEST, parse_json, read_json_object
from tests.helpers.places import ROOT

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
    # U+DC80 and on are bytes of file names that are no text
    | st.text(st.characters(exclude_categories=["Cs"]) | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner),
    max_leaves=20,
)  # fmt: skip


def read(text: str) -> object:
    return parse_json(text, "file.json", "something else")


@given(VALUES)
@settings(max_examples=200, deadline=None)
def test_what_json_is_comes_back(value: object) -> None:
    assert read(json.dumps(value)) == value
    assert read(json.dumps([{"a": [1, value]}])) == [{"a": [1, value]}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("NaN", "NaN is no number"),
        ('{"a": [1, -Infinity]}', "-Infinity is no number"),
        ("[1e999, 2]", "a number inf, out of range"),
        ('{"a": -1e999, "b": "x"}', "a number -inf, out of range"),
        ('[{"a": [1.5, 2, ' + "9" * 400 + "]}]", "a number of 400 digits, out of range"),
        ("[" + "9" * 5000 + "]", "4300"),
        ("-" + "9" * 40, "digits, out of range"),
        ('{"a": "\\ud800"}', "lone surrogate"),
        ('{"\\uDfff": 1}', "lone surrogate"),
        ("[" * 100_000, "nested more than 64 deep"),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "nested more than 64 deep"),
        ('{"a":' * (DEEPEST + 1) + "1" + "}" * (DEEPEST + 1), "nested more than 64 deep"),
        ('{"a": 1,\n b}', "line 2"),
        ("", "line 1"),
    ],
)
def test_what_no_json_is_or_nobody_can_use_is_one_line(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(text)
    message = str(caught.value)
    assert said in message
    assert message.startswith("file.json: ")
    assert message.endswith("; expected something else")
    assert len(message) < 300
    assert "\n" not in message


def test_brackets_up_to_the_limit_are_read() -> None:
    text = "[" * DEEPEST + "1" + "]" * DEEPEST
    assert json.dumps(read(text)) == text


def test_a_file_is_read_as_utf_8_and_the_error_is_the_readers_own(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes('{"name": "Straße"}'.encode())
    assert read_json_object(path, "an object") == {"name": "Straße"}
    for content in (b'{"name": "\xe9"}', b"[]", b"1"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="expected an object"):
            read_json_object(path, "an object", DataError)
    with pytest.raises(DataError, match="No such file"):
        read_json_object(tmp_path / "none.json", "an object", DataError)


def test_nothing_else_reads_json() -> None:
    """But for what a process of edgeseg's own said, and its own text."""
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("edgeseg", "runtime", "export")
        for path in (ROOT / folder).rglob("*.py")
        for line in path.read_text().splitlines()
        if re.search(r"\bjson\.loads?\(", line)
        and "# of a process of ours" not in line
        and "# our own text" not in line
    ]
    assert [
        line for line in found if not line.startswith(("edgeseg/core/json_text.py", "runtime/machine/child.py"))
    ] == []
