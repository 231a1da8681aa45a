"""TOML text, with errors that say whose it is."""

from __future__ import annotations

import math
import re
import sys
from typing import Any

from edgeseg.core.errors import EdgesegError, UsageError, one_line
from edgeseg.core.json_text import DEEPEST
from edgeseg.core.numbers import is_word_for_endless, shortened

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_GREATEST = 2**63  # TOML's own (toml.io, integers)
# A key of so many parts. The parser's time grows with their square: two minutes for 50,000.
_DEEP_KEY = re.compile(
    rf"""(?:^|[\[{{,])[ \t]*(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){{{DEEPEST}}}""", re.MULTILINE
)


def parse_toml(
    text: str, where: str, expected: str, error: type[EdgesegError] = UsageError, endless: bool = False
) -> dict[str, Any]:
    """Return the tables of a TOML document: its numbers finite, whole ones of 64 bits, at most DEEPEST levels.

    Args:
        text: the document.
        where: begins the message: the file's name.
        expected: ends it.
        error: raised if it is no such TOML.
        endless: infinity may stand in it; whoever takes the value looks whether it may there.
    """
    too_deep = error(f"{where}: not TOML (nested more than {DEEPEST} deep); expected {expected}")
    if _DEEP_KEY.search(text):
        raise too_deep
    try:
        document: dict[str, Any] = tomllib.loads(text, parse_float=_float)
    except RecursionError as fault:
        raise too_deep from fault
    except ValueError as fault:  # of TOML, or a whole number of thousands of digits
        raise error(f"{where}: not TOML ({one_line(fault, 200)}); expected {expected}") from fault
    level: list[tuple[str, Any]] = list(document.items())
    for _ in range(DEEPEST):
        for key, value in level:
            if not _is_in_range(value, endless):
                raise error(f"{where}: {one_line(key, 80)} = {shortened(value)}; expected a finite number of 64 bits")
        level = [inner for key, value in level for inner in _within(key, value)]
        if not level:
            return document
    raise too_deep


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value) and not is_word_for_endless(text):
        raise ValueError(f"the number {shortened(text)} is too large")
    return value


def _within(key: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(f"{key}.{name}"[:200], inner) for name, inner in value.items()]
    return [(key, inner) for inner in value] if isinstance(value, list) else []


def _is_in_range(value: Any, endless: bool) -> bool:
    if isinstance(value, float):
        return math.isfinite(value) or (endless and math.isinf(value))
    return not isinstance(value, int) or -_GREATEST <= value < _GREATEST
