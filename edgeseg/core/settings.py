"""A setting of a settings dataclass: its default, its explanation and the values that it may have, in one place.

Command line, settings file and range check all read it there, so that a new setting is one line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, fields
from typing import Any

from edgeseg.core.errors import UsageError, nearest
from edgeseg.core.numbers import NUMBERS, Range, shortened


def setting(
    default: Any,
    text: str,
    between: tuple[float, float] | None = None,
    choices: Sequence[str] = (),
    kind: type | None = None,
    above: bool = False,
    endless: bool = False,
) -> Any:
    """Return a dataclass field. Raises TypeError for a number without a range.

    Args:
        default: its type is the setting's type; an int takes whole numbers only.
        text: what it does, in a line that begins in lower case.
        between: the least and the greatest number that it may be.
        choices: the texts that it may be.
        kind: its type where the default, None, does not say it; None is always allowed then.
        above: the least number itself is none of them.
        endless: infinity is one too.
    """
    kind = kind or type(default)
    if kind in NUMBERS and between is None:
        raise TypeError(f"a setting, {text}: a number without a range may be anything")
    allowed = Range(*between, kind is int, above, endless) if between else None
    metadata = {"help": text, "between": allowed, "choices": tuple(choices), "kind": kind}
    return field(default=default, metadata=metadata)


def same_setting(kind: Any, name: str) -> Any:
    """Return a dataclass field like the one called `name` of another settings dataclass."""
    other = next(each for each in fields(kind) if each.name == name)
    return field(default=other.default, metadata=other.metadata)


def check_settings(settings: Any, prefix: str = "") -> None:
    """Raise UsageError for a value that its setting does not allow; `prefix` begins the message."""
    for each in fields(settings):
        value, metadata = getattr(settings, each.name), each.metadata
        allowed = metadata.get("between")
        if allowed and value not in allowed and (value is not None or each.default is not None):
            raise UsageError(f"{prefix}{each.name} = {shortened(value)}; expected {allowed}")
        if metadata.get("choices") and value not in metadata["choices"]:
            known = metadata["choices"]
            raise UsageError(
                f"{prefix}{each.name} = {value!r}{nearest(str(value), known)}; expected one of {', '.join(known)}"
            )
        if type(each.default) is bool and type(value) is not bool:
            raise UsageError(f"{prefix}{each.name} = {value!r}; expected true or false")
