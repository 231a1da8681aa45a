"""Types of click's options for numbers: finite and in range, and for all else the error of click."""

from __future__ import annotations

from typing import Any, cast

import click

from edgeseg.core.numbers import Range, shortened


class _Checked:
    """A range of click's in which a number must be one: to click, nan is in every range."""

    allowed: Range

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value in self.allowed:
            return value
        try:
            return self.allowed.parse(str(value))
        except ValueError:
            cast("click.ParamType[Any]", self).fail(f"{shortened(value)} is not {self.allowed}", param, ctx)


class _WholeNumber(_Checked, click.IntRange):
    pass


class _Number(_Checked, click.FloatRange):
    pass


def number(
    low: float, high: float, *, whole: bool = False, above: bool = False, endless: bool = False
) -> click.ParamType[Any]:
    """Return the type of an option that takes the numbers of a `Range`."""
    return number_in(Range(low, high, whole, above, endless))


def number_in(allowed: Range) -> click.ParamType[Any]:
    """Return the type of an option that takes the numbers of a range."""
    bounds = {"min": allowed.low, "max": allowed.high, "min_open": allowed.above}
    kind: Any = _WholeNumber if allowed.whole else _Number
    found = kind(**bounds)
    found.allowed = allowed
    return cast("click.ParamType[Any]", found)
