"""XML files of labels, by the standard library's expat. Any DTD is refused.

Entity bombs and external entities need a DTD, and no exporter writes one; so nothing is ever expanded or fetched, and
no further package is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from edgeseg.core.errors import DataError
from edgeseg.data.reading.text_encoding import not_utf8

INVALID_TOKEN = expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]


def parse_xml(text: bytes, where: str, expected: str) -> Element:
    """Return the outermost element. Raises DataError, naming `where`, the line, and what was `expected`."""
    builder = TreeBuilder()
    _feed(text, where, expected, builder)
    return builder.close()


def parse_children(text: bytes, where: str, expected: str, take: Callable[[Element], None]) -> str:
    """Hand each child of the outermost element to `take` once it is whole, and keep none of them.

    Returns the name of the outermost element. Raises DataError as `parse_xml` does.
    """
    children = _Children(take)
    _feed(text, where, expected, children)
    return children.root


class _Children:
    """Builds one child of the outermost element at a time: a file of a long drive does not fit into memory twice."""

    def __init__(self, take: Callable[[Element], None]) -> None:
        self.root = ""
        self._take = take
        self._depth = 0
        self._builder = TreeBuilder()

    def start(self, tag: str, attributes: dict[Any, Any]) -> None:
        if self._depth == 0:
            self.root = tag
        else:
            self._builder.start(tag, attributes)
        self._depth += 1

    def end(self, tag: str) -> None:
        self._depth -= 1
        if self._depth:
            self._builder.end(tag)
        if self._depth == 1:
            self._take(self._builder.close())
            self._builder = TreeBuilder()

    def data(self, text: str) -> None:
        if self._depth > 1:
            self._builder.data(text)


def _feed(text: bytes, where: str, expected: str, target: TreeBuilder | _Children) -> None:
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def refuse(*_: object) -> None:
        raise DataError(
            f"{where}: line {parser.CurrentLineNumber}: a document type (DTD); expected plain {expected}: remove it"
        )

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = target.start
    parser.EndElementHandler = target.end
    parser.CharacterDataHandler = target.data
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        if error.code == INVALID_TOKEN and not _is_utf8(text) and b"encoding" not in text[:100]:
            raise DataError(f"{where}: {not_utf8(text)}, or name its encoding in the first line") from error
        problem = f"line {error.lineno}: {expat.ErrorString(error.code)}"
        raise DataError(f"{where}: {problem}; expected whole {expected}: export the file again") from error
    except (LookupError, ValueError) as error:  # encodings that expat does not know
        raise DataError(f"{where}: {error}; expected {expected} in UTF-8") from error


def _is_utf8(text: bytes) -> bool:
    try:
        return bool(text.decode("utf-8"))
    except UnicodeDecodeError:
        return False
