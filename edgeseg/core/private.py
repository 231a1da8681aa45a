"""Texts that nobody may read: a value that cannot be printed, and what may be shown of a text that is no address."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from edgeseg.core.errors import escaped, one_line

HIDDEN = "***"
_SCHEME = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]{0,15}):")
# What was meant as the address of a camera, if with one slash or none; what is typed behind an option counts too.
_ADDRESS = re.compile(r"(?i)-*(?:[\w-]+=)?\s*(?:[a-z][a-z0-9+.-]*://|(?:rtsp|http|rtmp|srt|udp|tcp|ftp)s?:)")


class Secret:
    """A text that is shown as `***`, wherever it turns up: in a message, a repr, an f-string, a dataclass.

    >>> f"{Secret('hush')} {Secret('hush')!r}"
    '*** ***'
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text, for what must have it."""
        return self._text

    def __repr__(self) -> str:
        return HIDDEN

    def __format__(self, form: str) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written")


def may_hold_secret(text: str) -> bool:
    """Whether a text that names no place here may be an address with a user, a password or a parameter."""
    return "@" in text or sum(sign in text for sign in "?=:") > 1


def shown_place(text: str) -> str:
    """Return what a user wrote as a place, in quotes, for a message; what may be an address is not repeated.

    >>> shown_place("drive.mp5"), shown_place("rtsp:/me:hush@camera")
    ("'drive.mp5'", "'rtsp:...'")
    """
    if not may_hold_secret(text):
        return repr(text)
    scheme = _SCHEME.match(text)
    return repr(f"{scheme[1]}:..." if scheme and "@" not in scheme[1] else "...")


def without_typed_secrets(message: str, arguments: Sequence[str]) -> str:
    """Return an error's message without what was typed as an address of a camera: it may stand in the wrong place.

    Args:
        message: the error's.
        arguments: of the command line.
    """
    addresses = [each for each in arguments if _ADDRESS.match(each) and may_hold_secret(each) and not _is_drawn(each)]
    if not addresses and not any("@" in each for each in arguments):
        return message
    # A password with a blank, not in quotes, is several arguments, none of which looks like an address.
    message = re.sub(r"(?s)(unexpected extra arguments?) \(.*\)", r"\1; put into quotes what holds blanks", message)
    for typed in addresses:
        for form in (typed, str(Path(typed)), typed.partition("=")[2]):
            for written in (form, repr(form)[1:-1], " ".join(form.split()), escaped(form), one_line(form)):
                message = message.replace(written, "...") if len(written) > 3 else message
    return message


def _is_drawn(text: str) -> bool:
    return text.startswith("scenes://") and "@" not in text
