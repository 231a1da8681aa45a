"""Values of a model spec, checked for being what they say they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any, TypeVar

from edgeseg.core.errors import DataError, ModelError, nearest
from edgeseg.core.labels import Colour, check_text

T = TypeVar("T")
MOST_PIXELS = 2**26
"""Of a network or a camera, 8192x8192: one frame of such a network is 800 MB of float32."""
_LONGEST_TEXT = 1000
_NAMES = {dict: "an object", list: "a list", str: "a text", int: "a whole number", bool: "true or false"}


def check_known(key: str, value: Any, known: tuple[str, ...]) -> None:
    """Raise ModelError for a value that is none of those."""
    if value not in known:
        raise ModelError(f"spec: {key} is {value!r}{nearest(str(value), known)}; expected one of {', '.join(known)}")


def check_texts(texts: Mapping[str, Any]) -> None:
    """Raise ModelError for a value that is no text, or too long a one."""
    for key, value in texts.items():
        if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
            found = f"of {len(value)} characters" if isinstance(value, str) else f"a {type(value).__name__}"
            raise ModelError(f"spec: {key} is {found}; expected a text of at most {_LONGEST_TEXT} characters")
        try:
            check_text(value)
        except DataError as error:
            raise ModelError(f"spec: {key}: {error}") from error


def is_number(value: Any) -> bool:
    """Whether a value, NumPy's too, is a finite number of the range of float64."""
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def typed(value: Any, kind: type[T], what: str) -> T:
    """Return a value of exactly this type. Raises ModelError."""
    if type(value) is not kind:
        raise ModelError(f"{what} is {str(value)[:40]!r}; expected {_NAMES[kind]}")
    return value


def number(value: Any, what: str) -> float:
    """Return a finite number. Raises ModelError."""
    if not is_number(value):
        raise ModelError(f"{what} holds {str(value)[:40]!r}; expected finite numbers")
    return float(value)


def colour(value: Any) -> Colour:
    """Return an RGB colour of three whole numbers. Raises ModelError, or as a tuple of another length does."""
    red, green, blue = (typed(channel, int, "a class's colour") for channel in value)
    return red, green, blue
