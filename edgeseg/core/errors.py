"""What a user can cause. Every message says what was received, what was expected and what to do, on one line."""

from __future__ import annotations

from collections.abc import Iterable


class EdgesegError(Exception):
    """Base of all errors that end a command with one line and `exit_code`, never with a traceback."""

    exit_code = 2


class UsageError(EdgesegError):
    """A wrong option, setting or output place."""

    exit_code = 2


class DataError(EdgesegError):
    """A data set or a picture in it cannot be used."""

    exit_code = 3


class SourceError(EdgesegError):
    """A frame source cannot be opened or never came back."""

    exit_code = 3


class ModelError(EdgesegError):
    """A model, its spec or its export cannot be used."""

    exit_code = 4


class EngineError(EdgesegError):
    """The inference engine failed or hung while running; a supervisor should restart the process."""

    exit_code = 5


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean X?)` for the known word closest to `word` but for its case, or an empty string."""
    words = {each.casefold(): each for each in known}
    import difflib  # for a mistake alone: every start would pay for it

    close = difflib.get_close_matches(word.casefold(), list(words), n=1)
    return f" (did you mean {words[close[0]]}?)" if close else ""


def one_line(text: object, most: int | None = None) -> str:
    r"""Return a text or an error's message on one line, at most so many characters of it.

    >>> one_line("a\n  b\x1b[2J")
    'a b\\x1b[2J'
    """
    return escaped(" ".join(str(text).split()))[:most]


def escaped(text: str) -> str:
    r"""Return a text with what no terminal shows, or what steers one, as Python writes it.

    >>> escaped("a\x1b[31m\n")
    'a\\x1b[31m\\n'
    """
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def with_type(error: Exception, most: int | None = None) -> str:
    r"""Return an error's type and message on one line, for errors of code that is not ours.

    >>> with_type(ValueError("a\nb"))
    'ValueError: a b'
    """
    return one_line(f"{type(error).__name__}: {error}", most)
