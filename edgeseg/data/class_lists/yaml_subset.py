"""A strict subset of YAML: flow collections (JSON among them), and blocks of lists and keys. Raises DataError."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from edgeseg.core.errors import DataError

Rows = Sequence[tuple[str, str]]
MOST_DEPTH = 8
EXPECTED = "lists, keys and texts of YAML or JSON only, without anchors, tags and texts of several lines"
_TOKEN = re.compile(
    r"\s*(?:(?P<sign>[\[\]{},])|(?P<colon>:)|\"(?P<double>(?:[^\"\\]|\\[\"\\/])*)\""
    r"|'(?P<single>(?:[^']|'')*)'|(?P<plain>[^\s\[\]{},\"'&*!|>%@`?#-](?:[^\[\]{},:\n]|:(?=\S))*|-?[0-9]+|#[0-9A-Fa-f]{6}))"
)
_KEY = re.compile(r"(?P<key>\"[^\"\\]*\"\s*|'[^']*'\s*|[^\s\[\]{},\"'&*!|>%@`#:-][^:]*):(?:\s+(?P<value>.*))?$")
_BULLET = re.compile(r"-(?:\s+(?P<rest>.*))?$")


class Scalar(str):
    """A text of a document, with what names its line in messages, and whether it stood in quotes."""

    where: str
    quoted: bool

    def __new__(cls, text: str, where: str, quoted: bool = False) -> Scalar:
        self = super().__new__(cls, text)
        self.where, self.quoted = where, quoted
        return self


def refused(where: str, text: str) -> DataError:
    return DataError(f"{where}: {text.strip()[:80]!r}; expected {EXPECTED}")


def parse_flow(rows: Rows) -> Any:
    """Return the value of a text or flow collection that begins in the first line and ends in the last."""
    scanner = _Scanner(rows)
    value = scanner.value(0)
    scanner.end()
    return value


class _Scanner:
    """Reads values from lines, a token at a time."""

    def __init__(self, rows: Rows) -> None:
        self._rows = list(rows)
        self._row = self._at = 0

    def end(self) -> None:
        """Raise DataError if something is left."""
        while self._row < len(self._rows):
            where, text = self._rows[self._row]
            if text[self._at :].strip():
                raise refused(where, text[self._at :])
            self._row, self._at = self._row + 1, 0

    def _next(self) -> tuple[re.Match[str], str]:
        while self._row < len(self._rows) and not self._rows[self._row][1][self._at :].strip():
            self._row, self._at = self._row + 1, 0
        if self._row == len(self._rows):
            raise DataError(f"{self._rows[-1][0]}: {self._rows[-1][1].strip()[:80]!r} ends too soon; expected ] or }}")
        where, text = self._rows[self._row]
        match = _TOKEN.match(text, self._at)
        if not match:
            raise refused(where, text[self._at :])
        self._at = match.end()
        return match, where

    def value(self, depth: int) -> Any:
        return self._value_of(*self._next(), depth)

    def _value_of(self, match: re.Match[str], where: str, depth: int) -> Any:
        if depth > MOST_DEPTH or match["colon"] or match["sign"] in ("]", "}", ","):
            raise refused(where, match.string)
        if match["sign"] == "[":
            return self._list(depth)
        if match["sign"] == "{":
            return self._map(depth)
        return _scalar(match, where)

    def _list(self, depth: int) -> list[Any]:
        values: list[Any] = []
        while True:
            match, where = self._next()
            if match["sign"] == "]":
                return values
            values.append(self._value_of(match, where, depth + 1))
            if self._closed("]"):
                return values

    def _map(self, depth: int) -> dict[Scalar, Any]:
        pairs: dict[Scalar, Any] = {}
        while True:
            match, where = self._next()
            if match["sign"] == "}":
                return pairs
            key = self._value_of(match, where, depth + 1)
            colon, place = self._next()
            if not isinstance(key, Scalar) or not colon["colon"]:
                raise refused(place, colon.string)
            put(pairs, key, self.value(depth + 1))
            if self._closed("}"):
                return pairs

    def _closed(self, sign: str) -> bool:
        match, where = self._next()
        if match["sign"] not in (",", sign):
            raise refused(where, match.string)
        return match["sign"] == sign


def _scalar(match: re.Match[str], where: str) -> Scalar:
    if match["double"] is not None:
        return Scalar(re.sub(r"\\(.)", r"\1", match["double"]), where, True)
    if match["single"] is not None:
        return Scalar(match["single"].replace("''", "'"), where, True)
    return Scalar(match["plain"].strip(), where)


def put(pairs: dict[Scalar, Any], key: Scalar, value: Any) -> None:
    """Add a key and its value. Raises DataError if it is there already."""
    if key in pairs:
        raise DataError(f"{key.where}: {str(key)[:80]!r} stands twice; expected each key once")
    pairs[key] = value


def parse_block(rows: Rows) -> Any:
    """Return the value of lines of `- item` or `key: value`; what is indented belongs to the line above."""
    return _block(rows, 0)


def _block(rows: Rows, depth: int) -> Any:
    where, text = rows[0]
    if depth > MOST_DEPTH or "\t" in text[: _indent(text) + 1]:
        raise refused(where, text)
    if text.strip()[0] in "[{":
        return parse_flow(rows)
    if _BULLET.match(text.strip()):
        return [_item(each, depth) for each in _parts(rows)]
    if not _KEY.match(text.strip()):
        if len(rows) > 1:
            raise refused(*rows[1])
        return parse_flow(rows)
    pairs: dict[Scalar, Any] = {}
    for part in _parts(rows):
        place, line = part[0]
        match = _KEY.match(line.strip())
        if not match or _BULLET.match(line.strip()):
            raise refused(place, line)
        key = match["key"].strip()
        is_quoted = key[0] in "\"'"
        put(pairs, Scalar(key[1:-1] if is_quoted else key, place, is_quoted), _below(match["value"], part, depth))
    return pairs


def _item(part: Rows, depth: int) -> Any:
    where, text = part[0]
    match = _BULLET.match(text.strip())
    if not match:
        raise refused(where, text)
    rest = match["rest"] or ""
    if rest and rest[0] not in "[{" and _KEY.match(rest):
        indent = _indent(text) + text.strip().index(rest)
        return _block([(where, " " * indent + rest), *part[1:]], depth + 1)
    return _below(rest, part, depth)


def _below(value: str | None, part: Rows, depth: int) -> Any:
    """Return the value that stands behind a key or a dash, or in the lines below it."""
    if value:
        return parse_flow([(part[0][0], value), *part[1:]])
    if len(part) < 2:
        raise refused(*part[0])
    return _block(part[1:], depth + 1)


def _parts(rows: Rows) -> list[list[tuple[str, str]]]:
    """Return the lines of each item or key: those of one indentation, with what belongs to them."""
    indent = _indent(rows[0][1])
    dashes = bool(_BULLET.match(rows[0][1].strip()))
    parts: list[list[tuple[str, str]]] = []
    for where, text in rows:
        own = _indent(text)
        # A list may stand as far left as the key it belongs to; so may the end of a flow collection.
        belongs = own == indent and not dashes and bool(parts) and (text.strip()[0] in "]}" or text.strip()[:1] == "-")
        if own < indent:
            raise refused(where, text)
        if own == indent and not belongs:
            parts.append([])
        parts[-1].append((where, text))
    return parts


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip(" "))
