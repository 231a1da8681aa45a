"""JSON text of others, with errors that say whose it is. Every file that a user may hand over is read here."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from edgeseg.core.errors import EdgesegError, UsageError, one_line
from edgeseg.core.small_files import read_small

DEEPEST = 64
"""Levels of brackets. Python's own limit is the stack's, which whoever goes on with the document meets again."""
_GREATEST = 2**63  # NumPy takes no greater whole numbers
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(
    text: str, where: str, expected: str, error: type[EdgesegError] = UsageError, *, finite: bool = True
) -> Any:
    r"""Return a JSON document: its numbers finite, whole ones of 64 bits, its texts text, at most DEEPEST levels.

    NaN and Infinity, which Python reads and RFC 8259 forbids, are refused, as is 1e999, which it reads as infinite, and
    `"\ud800"`, half of a character, which no file, terminal or C library takes. File names that are no UTF-8 pass, as
    Python writes them (U+DC80 to U+DCFF, PEP 383).

    Args:
        text: the document.
        where: begins the message: the file's name.
        expected: ends it.
        error: raised if it is no such JSON.
        finite: False takes NaN and infinities as floats, for files that others wrote and that are used in part: COCO
            with an area of NaN, which nobody needs, holds good labels. Whoever uses a number of it checks that.
    """
    try:
        document = json.loads(text, parse_constant=_refuse if finite else float)
        _check_levels(document, finite)
        if not text.isascii() or _SURROGATE.search(text):
            json.dumps(document, ensure_ascii=False).encode(errors="surrogateescape")
    except json.JSONDecodeError as fault:
        raise error(f"{where}: not JSON (line {fault.lineno}: {fault.msg}); expected {expected}") from fault
    except RecursionError as fault:
        raise error(f"{where}: {_too_deep()}; expected {expected}") from fault
    except UnicodeEncodeError as fault:
        raise error(f"{where}: a text that holds half a character, a lone surrogate; expected {expected}") from fault
    except ValueError as fault:  # a refused number, or one of thousands of digits
        raise error(f"{where}: {one_line(fault, 200)}; expected {expected}") from fault
    return document


def read_json(path: Path, expected: str, error: type[EdgesegError] = UsageError) -> Any:
    """Return the document of a JSON file, UTF-8. Raises `error`, also where it cannot be read."""
    try:
        text = read_small(path)
    except (OSError, UnicodeDecodeError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "not UTF-8"
        raise error(f"{path}: cannot be read ({reason}); expected {expected}") from fault
    return parse_json(text, str(path), expected, error)


def read_json_object(path: Path, expected: str, error: type[EdgesegError] = UsageError) -> dict[str, Any]:
    """Return the object that a JSON file holds. Raises `error`."""
    document = read_json(path, expected, error)
    if not isinstance(document, dict):
        raise error(f"{path}: a JSON {type(document).__name__}; expected {expected}")
    return document


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number of JSON")


def _too_deep() -> str:
    return f"brackets nested more than {DEEPEST} deep"


def _check_levels(document: Any, finite: bool) -> None:
    """Raise ValueError for what lies too deep and for numbers out of range.

    Level by level, and each list by its types: a loop over all values would take a third of what parsing takes.
    """
    level = [[document]]
    for _ in range(DEEPEST + 1):
        below: list[Any] = []
        for values in level:
            kinds = set(map(type, values))
            if finite and float in kinds:
                _check_numbers(values, float, kinds, sys.float_info.max)
            if int in kinds:
                _check_numbers(values, int, kinds, _GREATEST)
            if dict in kinds:
                below += [each.values() for each in values if type(each) is dict]
            if list in kinds:
                below += [each for each in values if type(each) is list]
        if not below:
            return
        level = below
    raise ValueError(_too_deep())


def _check_numbers(values: Collection[Any], kind: type, kinds: set[type], most: float) -> None:
    numbers = values if len(kinds) == 1 else [each for each in values if type(each) is kind]
    for number in (min(numbers), max(numbers)):
        if not -most <= number <= most:
            text = str(number)
            raise ValueError(f"a number {'of ' + str(len(text)) + ' digits' if kind is int else text}, out of range")
