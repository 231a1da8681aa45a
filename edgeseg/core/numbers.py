"""What a number may be, one rule for command line, settings files and Python: finite, and in its range."""

from __future__ import annotations

import math
from dataclasses import dataclass

NUMBERS = (int, float)  # and no bool, which is an int to isinstance
_MOST_SHOWN = 40  # digits of what was received


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`.

    Attributes:
        low, high: finite.
        whole: whole numbers only.
        above: `low` itself is not one of them.
        endless: infinity, written `inf`, is one too: it stands for without end.
    """

    low: float
    high: float
    whole: bool = False
    above: bool = False
    endless: bool = False

    def __contains__(self, value: object) -> bool:
        if type(value) not in ((int,) if self.whole else NUMBERS):
            return False
        assert isinstance(value, NUMBERS)
        is_in = self.low <= value <= self.high and not (self.above and value == self.low)  # nan never is
        return is_in or (self.endless and value == math.inf)

    def parse(self, text: str) -> int | float:
        """Return the number that a text of the command line says. Raises ValueError: none, or out of range."""
        value = int(text) if self.whole else float(text)
        if value not in self or not text.isascii() or (math.isinf(value) and not is_word_for_endless(text)):
            raise ValueError(text)
        return value

    def __str__(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        begin = f"above {_shown(self.low)}, at most" if self.above else f"from {_shown(self.low)} to"
        return f"{kind} {begin} {_shown(self.high)}{', or inf' if self.endless else ''}"


def is_word_for_endless(text: str) -> bool:
    """Whether a text that Python reads as infinity says so: 1e999 and 400 digits are only too large."""
    return text.strip().lstrip("+-").casefold() in ("inf", "infinity")


def _shown(bound: float) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:g}"


def shortened(value: object) -> str:
    """Return what was received instead of a number, at a length that a line can hold.

    >>> shortened(float("nan")), shortened("12x"), shortened(10**400)
    ('nan', '12x', '1000000000000000000000000000000000000000... (401 characters)')
    """
    try:
        text = str(value)
    except ValueError:  # Python writes no integers of more than 4300 digits
        return "a number of thousands of digits"
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}... ({len(text)} characters)"
