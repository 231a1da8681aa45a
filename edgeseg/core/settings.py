"""A setting of a settings dataclass: its default, its explanation and the values that it may have, in one place.

Command line, settings file and range check all read it there, so that a new setting is one line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import field, fields
from typing import Any

from edgeseg.core.errors import UsageError, nearest

NUMBERS = (int, float)  # and no bool, which is an int to isinstance


def setting(
    default: Any,
    text: str,
    between: tuple[float, float] | None = None,
    choices: Sequence[str] = (),
    kind: type | None = None,
) -> Any:
    """Return a dataclass field.

    Args:
        default: its type is the setting's type; an int takes whole numbers only.
        text: what it does, in a line that begins in lower case.
        between: the least and the greatest number that it may be.
        choices: the texts that it may be.
        kind: its type where the default, None, does not say it.
    """
    metadata = {"help": text, "between": between, "choices": tuple(choices), "kind": kind or type(default)}
    return field(default=default, metadata=metadata)


def same_setting(kind: Any, name: str) -> Any:
    """Return a dataclass field like the one called `name` of another settings dataclass."""
    other = next(each for each in fields(kind) if each.name == name)
    return field(default=other.default, metadata=other.metadata)


def check_settings(settings: Any, prefix: str = "") -> None:
    """Raise UsageError for a value that its setting does not allow; `prefix` begins the message."""
    for each in fields(settings):
        value, metadata = getattr(settings, each.name), each.metadata
        if metadata.get("between"):
            _check_number(f"{prefix}{each.name}", value, type(each.default) is int, *metadata["between"])
        if metadata.get("choices") and value not in metadata["choices"]:
            known = metadata["choices"]
            raise UsageError(
                f"{prefix}{each.name} = {value!r}{nearest(str(value), known)}; expected one of {', '.join(known)}"
            )
        if type(each.default) is bool and type(value) is not bool:
            raise UsageError(f"{prefix}{each.name} = {value!r}; expected true or false")


def _check_number(name: str, value: Any, whole: bool, low: float, high: float) -> None:
    if type(value) not in ((int,) if whole else NUMBERS) or not (math.isfinite(value) and low <= value <= high):
        kind = "whole number" if whole else "number"
        raise UsageError(f"{name} = {value}; expected a {kind} from {low:g} to {high:g}")
