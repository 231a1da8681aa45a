"""Class lists in text files: `labelmap.txt` of CVAT and `classes.txt` of a folder of masks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgeseg.core.errors import DataError, UsageError, nearest
from edgeseg.core.labels import IGNORE_INDEX, IGNORED, ClassMap, Colour, folded
from edgeseg.data.reading.masks import ColourMask, IdMask
from edgeseg.data.reading.pictures import read_text
from edgeseg.data.reading.shapes import distinct_colours

RGB = r"\d{1,3}[\s,]+\d{1,3}[\s,]+\d{1,3}"
HEADER = re.compile(r"name[\s,;]+r(ed)?[\s,;]+g(reen)?[\s,;]+b(lue)?$", re.IGNORECASE)
COLOUR_FIRST = re.compile(rf"(?P<rgb>{RGB})[\s,:]+(?P<name>[^\d\s,:].*)$")
UNCLEAR = re.compile(rf".*,\s*\d+$|{RGB}[\s,]")  # a colour that lacks a number, or stands before a number
NUMBERED = re.compile(r"(?P<id>\d+)[\s,:]+(?P<line>.*\S)$")
LINE = re.compile(rf"(?P<name>[^:]*?)\s*(?:[:\s,]\s*(?P<rgb>{RGB})\s*(?::.*)?)?$")


@dataclass(frozen=True)
class Palette:
    """Lines of a class list: name and colour, in the order of their ids. The name `ignore` is no class."""

    lines: tuple[tuple[str, Colour], ...]
    has_colours: bool

    @property
    def classes(self) -> ClassMap:
        kept = [(name, colour) for name, colour in self.lines if folded(name) != IGNORED]
        return ClassMap(tuple(name for name, _ in kept), tuple(colour for _, colour in kept))

    def with_ignored(self, ignored: str, where: Path) -> Palette:
        """Return the palette with a class that is ignored; none if the name is empty. Raises UsageError."""
        known = [name for name, _ in self.lines]
        if ignored and folded(ignored) not in map(folded, known):
            raise UsageError(f"option ignore={ignored}{nearest(ignored, known)}; {where} has: {', '.join(known)}")
        lines = [(IGNORED if folded(name) == folded(ignored) else name, colour) for name, colour in self.lines]
        return Palette(tuple(lines), self.has_colours)

    def decode_ids(self, trusted: bool = False) -> IdMask:
        """Return what makes classes of a file whose ids are line numbers, from 0.

        Unless the ids are `trusted`, a palette file with these colours in another order is an error.
        """
        pairs, index = {IGNORE_INDEX: IGNORE_INDEX}, 0
        for file_id, (name, _) in enumerate(self.lines):
            kept = folded(name) != IGNORED
            pairs[file_id] = index if kept else IGNORE_INDEX
            index += kept
        colours = tuple(colour for _, colour in self.lines) if self.has_colours else ()
        return IdMask(tuple(pairs.items()), colours=() if trusted else colours)

    def decode_colours(self, where: Path) -> ColourMask:
        """Return what makes classes of a file of these colours. Raises DataError, naming `where`."""
        if not self.has_colours:
            raise DataError(f"{where}: names without colours, but the masks are colours; expected lines NAME R G B")
        try:
            return ColourMask.of(self.classes, tuple(colour for name, colour in self.lines if folded(name) == IGNORED))
        except DataError as error:
            raise DataError(f"{where}: {error}") from error


def read_palette(path: Path) -> Palette:
    """Read a class list: a class a line, `NAME`, `NAME R G B`, `NAME,R,G,B` or CVAT's `name:r,g,b:parts:actions`.

    Also `R G B NAME` as CamVid has it, a first line `name,r,g,b`, and lines that all begin with their number, which
    must count from 0. A `#` begins a comment. Raises DataError, naming the line.
    """
    texts = [(f"{path}: line {number}", text) for number, text in _texts(path)]
    if texts and HEADER.match(texts[0][1]):
        texts = texts[1:]
    lines = [_line(text, where) for where, text in _unnumbered(texts)]
    own = [colour for _, colour in lines if colour is not None]
    others = distinct_colours(len(lines), avoid=own)
    try:
        palette = Palette(
            tuple((name, next(others) if colour is None else colour) for name, colour in lines),
            has_colours=len(own) == len(lines),
        )
        _ = palette.classes  # checks the names and their number
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return palette


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(read_text(path).splitlines(), 1):
        text = line.partition("#")[0].strip()
        if text:
            yield number, text


def _unnumbered(texts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Take away the ids with which all lines begin, if they do. Raises DataError if they are not the lines' order."""
    matches = [None if COLOUR_FIRST.match(text) else NUMBERED.match(text) for _, text in texts]
    found = [match for match in matches if match]
    if not found or len(found) < len(texts):
        return texts
    for index, ((where, _), match) in enumerate(zip(texts, found, strict=True)):
        if int(match["id"]) != index:
            raise DataError(
                f"{where}: id {match['id']}; expected {index}, as ids are the order of the lines, from 0: add lines "
                f"for those that are left out, or declare the ids in a dataset.toml"
            )
    return [(where, match["line"]) for (where, _), match in zip(texts, found, strict=True)]


def _line(text: str, where: str) -> tuple[str, Colour | None]:
    match = COLOUR_FIRST.match(text) or LINE.match(text.removesuffix("::"))
    if not match or not match["name"] or UNCLEAR.match(match["name"]):
        raise DataError(f"{where}: {text!r}; expected a class as NAME, NAME R G B or name:r,g,b::")
    if not match["rgb"]:
        return match["name"], None
    red, green, blue = (int(channel) for channel in re.split(r"[\s,]+", match["rgb"].strip()))
    if max(red, green, blue) > 255:
        raise DataError(f"{where}: colour ({red}, {green}, {blue}); expected three numbers from 0 to 255")
    return match["name"], (red, green, blue)
