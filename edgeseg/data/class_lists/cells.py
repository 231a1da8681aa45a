"""A line of a class list taken apart: numbers, hexadecimal colours and words, in the cells that separators make."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

NUMBER, FRACTION, HEX, WORD, EMPTY = "number", "fraction", "hex", "word", "empty"

_HEX = r"#(?:[0-9A-Fa-f]{8}|[0-9A-Fa-f]{6})(?![^\s,;:\"'\])}])"
_COMMENT = re.compile(
    rf"\"(?:[^\"]|\"\")*\"|(?<![^\s,;:\[{{])'[^']*'(?=[\s,;:\]}}]|$)|{_HEX}|(?P<comment>#.*)|.", re.DOTALL
)
_PART = re.compile(
    r"\"(?P<double>(?:[^\"]|\"\")*)\"(?=[\s,;:]|$)|'(?P<single>[^']*)'(?=[\s,;:]|$)"
    r"|(?P<tab>[ ]*\t\s*)|(?P<hard>[,;:])|(?P<word>[^\s,;:]+)|\s+"
)
_CVAT = re.compile(
    rf"(?P<class>[^:]*:\s*(?:{_HEX}|[0-9]+[\s,]+[0-9]+[\s,]+[0-9]+)\s*):[^:]*(?::[^:]*)?$|(?P<bare>[^:]*):{{2,3}}$"
)
_TUPLE = re.compile(r"(?:\brgba?)?(?:\[(?P<square>[^\[\]()]*)\]|\((?P<round>[^\[\]()]*)\))")
_NUMBERS = re.compile(r"\s*\d{1,9}(?:\s*[,;\s]\s*\d{1,9}){2,3}\s*,?\s*", re.ASCII)
_KINDS = (
    (NUMBER, re.compile(r"[+-]?[0-9]+")),
    (FRACTION, re.compile(r"[+-]?(?:[0-9]*\.[0-9]+|[0-9]+\.)(?:[eE][+-]?[0-9]+)?|[+-]?[0-9]+[eE][+-]?[0-9]+")),
    (HEX, re.compile(_HEX)),
)


class Token(NamedTuple):
    """A part of a line. `cell` counts the separators before it that blanks are not: `, ; :` and tabs."""

    kind: str
    text: str
    cell: int
    quoted: bool = False


def without_comment(line: str) -> str:
    """Return what stands before a `#` that neither begins a colour (`#804080`) nor stands in quotes."""
    for match in _COMMENT.finditer(line):
        if match["comment"] is not None:
            return line[: match.start()].strip()
    return line.strip()


def tokens_of(text: str) -> list[Token]:
    """Take a line apart. Empty cells at its end say nothing and are left out, as are CVAT's parts and actions."""
    cvat = _CVAT.match(text)
    text = _TUPLE.sub(_loose, (cvat["class"] or cvat["bare"]) if cvat else text)
    tokens: list[Token] = []
    cell = filled = 0  # `filled`: the last cell that has a token
    for match in _PART.finditer(text):
        if match["hard"] or match["tab"]:
            if match["hard"] and (not tokens or filled < cell):
                tokens.append(Token(EMPTY, "", cell))
            filled, cell = cell, cell + 1
            continue
        for token in _token(match, cell):
            tokens.append(token)
            filled = cell
    while tokens and tokens[-1].kind == EMPTY:
        tokens.pop()
    return tokens


def _loose(match: re.Match[str]) -> str:
    """Return `[128, 64, 128]` or `rgb(128, 64, 128)` as numbers between blanks, other brackets as they are."""
    inner = match["square"] if match["square"] is not None else match["round"]
    return f" {re.sub('[,;]', ' ', inner)} " if _NUMBERS.fullmatch(" ".join(inner.split())) else match.group()


def _token(match: re.Match[str], cell: int) -> Iterator[Token]:
    if match["word"] is not None:
        yield Token(_kind(match["word"]), match["word"], cell)
        return
    quoted = match["double"] if match["double"] is not None else match["single"]
    if quoted is None:
        return
    text = " ".join(quoted.replace('""', '"').split())
    inner = text[1:-1] if text[:1] in "[(" and text[-1:] in "])" else text
    if _NUMBERS.fullmatch(inner):
        yield from (Token(NUMBER, each, cell, True) for each in re.findall("[0-9]+", inner))
    else:
        yield Token(_kind(text) if text else EMPTY, text, cell, True)


def _kind(text: str) -> str:
    return next((kind for kind, pattern in _KINDS if pattern.fullmatch(text)), WORD)
