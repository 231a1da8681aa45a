"""The options of a data argument: `FORMAT:PATH?key=value&key=value`, taken apart here and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Iterable
from urllib.parse import quote, unquote

from edgeseg.errors import UsageError, nearest

MERGE = "classes"
"""An option that every format has: a rule of `edgeseg.labels.merge_classes`."""
IGNORE_MASK = "ignore_mask"
"""An option that every format has: the file of `edgeseg.data.ignore_mask.masked`."""


def split_argument(argument: str) -> tuple[str, dict[str, str]]:
    """Return what stands before the `?`, and the options after it.

    Values may be written as they are or percent-encoded: `%26` is the way to write a `&`, and a `+` is a plus. A path
    that exists with its `?` in it is a path. Raises UsageError.
    """
    location, mark, query = argument.partition("?")
    if not mark or os.path.exists(argument) or os.path.exists(argument.partition(":")[2]):
        return argument, {}
    options: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        key, equals, value = part.partition("=")
        if not equals:
            raise UsageError(f"data option {part!r} in {argument!r}; expected KEY=VALUE after the ?, joined by &")
        if key in options:
            raise UsageError(f"data option {key!r} is given twice in {argument!r}; give it once")
        options[key] = unquote(value)
    return location, options


def with_classes(argument: str, rule: str | None) -> str:
    """Return a data argument with a rule for merging classes behind it; as it is if there is none."""
    if rule is None:
        return argument
    return f"{argument}{'&' if '?' in argument else '?'}{MERGE}={quote(rule, safe='=,;* ')}"


def check_options(options: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raise UsageError, naming `where` and the nearest known option, for an option that is not known."""
    all_known = sorted({*known, MERGE, IGNORE_MASK})
    for key in options:
        if key not in all_known:
            raise UsageError(
                f"{where} has no option {key!r}{nearest(key, all_known)}; expected one of {', '.join(all_known)}"
            )
