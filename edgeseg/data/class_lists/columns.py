"""In which columns a class list has id, name and colour: as its header says, or as all of its lines have them alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from edgeseg.core.errors import DataError
from edgeseg.core.labels import Colour
from edgeseg.data.class_lists.cells import HEX, NUMBER, WORD, Token

Layout = tuple[str, ...]
ID, NAME, ALPHA, COLOUR, SKIPPED = "id", "name", "a", "colour", "parts"
RGB = ("r", "g", "b")
RGBA = (*RGB, ALPHA)
FORMS = "NAME, NAME R G B, NAME #RRGGBB, ID NAME R G B, R G B NAME or name:r,g,b::"
MOST_NAME = 200  # characters

_WORDS = {
    NAME: "name names class classes classname classnames label labels labelname labelnames category categories "
    "categoryname",
    ID: "id ids index idx classid labelid categoryid trainid classindex labelindex value pixel pixelvalue maskvalue "
    "gray grey grayvalue greyvalue graylevel greylevel number nr key",
    "r": "r red",
    "g": "g green",
    "b": "b blue",
    ALPHA: "a alpha opacity",
    COLOUR: "color colour rgb rgba hex colorrgb colourrgb rgbcolor rgbcolour hexcolor hexcolour colorhex colourhex",
    SKIPPED: "parts actions",
}
COLUMN_OF = {word: column for column, words in _WORDS.items() for word in words.split()}

_COLOURS: tuple[Layout, ...] = (RGBA, RGB, (HEX,))
LAYOUTS: tuple[Layout, ...] = tuple(
    sorted(
        [
            *((ID, NAME, *colour) for colour in _COLOURS),
            *((ID, *colour, NAME) for colour in _COLOURS),
            *((*colour, NAME) for colour in _COLOURS),
            *((NAME, *colour) for colour in _COLOURS),
            (ID, NAME),
            (NAME, ID),
            (NAME,),
        ],
        key=lambda layout: -len(layout),
    )
)
"""What lines without a header may look like, longest first: a number is a column sooner than part of a name."""


class ClassLine(NamedTuple):
    """A class as a list has it: where it stands, its name, RGB colour and id in the mask files, if it has them."""

    where: str
    name: str
    colour: Colour | None = None
    id: int | None = None


class Line(NamedTuple):
    """A line: what names it in messages, its text without comments, and its parts."""

    where: str
    text: str
    tokens: Sequence[Token]

    def refused(self, expected: str = f"a class as {FORMS}") -> DataError:
        return DataError(f"{self.where}: {self.text[:80]!r}; expected {expected}")


def header_of(line: Line) -> Layout | None:
    """Return the columns that a header names, or None for a line that is none.

    Raises DataError for one with separators whose columns are not known, or do not go together.
    """
    if any(token.kind != WORD for token in line.tokens) or not line.tokens:
        return None
    cells = _cells(line.tokens)
    columns = [COLUMN_OF.get(cell, "") for cell in cells]
    if len(columns) == 4 and columns[2:] == [SKIPPED, SKIPPED]:
        columns = columns[:2]
    if NAME not in columns:
        return None
    refused = _refused(columns)
    if refused is None:
        return tuple(columns)
    known = [column for column in columns if column]
    if len(known) < 2 or line.tokens[-1].cell == 0:  # Class A is a name as well
        return None
    raise line.refused(f"a header {refused}: leave the other columns out")


def _refused(columns: Sequence[str]) -> str | None:
    """Return what a header should be, unless these columns are one."""
    if "" in columns or SKIPPED in columns:
        return "of id, name, r, g, b, a or colour"
    has_rgb = [each in columns for each in RGB]
    is_whole = all(has_rgb) or not any(has_rgb)
    colours = all(has_rgb) + (COLOUR in columns)
    if len(set(columns)) < len(columns) or not is_whole or colours > 1 or (ALPHA in columns and not colours):
        return "with one name, at most one id and one colour"
    return None


def _cells(tokens: Sequence[Token]) -> list[str]:
    """Return the words of a header, folded: those of a cell as one, or of a line without separators one by one."""
    words = [re.sub(r"[\s_-]", "", token.text).casefold() for token in tokens]
    if tokens[-1].cell > 0:
        joined = [""] * (tokens[-1].cell + 1)
        for word, token in zip(words, tokens, strict=True):
            joined[token.cell] += word
        return joined
    cells: list[str] = []
    for word in words:
        if cells and cells[-1] + word in COLUMN_OF:  # Class Name
            cells[-1] += word
        else:
            cells.append(word)
    return cells


def alternatives(header: Layout) -> list[Layout]:
    """Return the layouts of a header: a column `colour` holds R G B, R G B A or #RRGGBB."""
    if COLOUR not in header:
        return [header]
    at = header.index(COLOUR)
    return [(*header[:at], *colour, *header[at + 1 :]) for colour in _COLOURS]


def fitted(line: Line, layout: Layout, stated: bool) -> ClassLine | None:
    """Return the class of a line in a layout, or None if it does not fit.

    `stated`: a header gives the layout. Without one, a name may not begin with a number behind other numbers.
    Raises DataError for a number out of range.
    """
    if layout == (NAME,) and line.text.endswith(":") and not line.text.endswith("::"):
        return None  # the begin of something else
    at = layout.index(NAME)
    behind = len(line.tokens) - (len(layout) - at - 1)
    name, rest = line.tokens[at:behind], [*line.tokens[:at], *line.tokens[behind:]]
    kinds = [HEX if column == HEX else NUMBER for column in layout if column != NAME]
    if not _is_name(name) or [token.kind for token in rest] != kinds:
        return None
    glued = at > 0 and not stated and name[0].kind == NUMBER and not name[0].quoted
    if glued and name[0].cell == line.tokens[at - 1].cell:
        return None
    values = dict(zip((column for column in layout if column != NAME), (token.text for token in rest), strict=True))
    return ClassLine(line.where, " ".join(token.text for token in name), _colour(values), _id(values, line))


def _is_name(tokens: Sequence[Token]) -> bool:
    """Return whether parts are one name: `2 wheeler` and `lane 1`, but not `Road 128 64` or `// comment`."""
    kinds = [token.kind for token in tokens]
    text = " ".join(token.text for token in tokens)
    if WORD not in kinds or tokens[0].cell != tokens[-1].cell or not set(kinds) <= {WORD, NUMBER}:
        return False
    if any(token.quoted for token in tokens) and len(tokens) > 1:
        return False
    return (NUMBER, NUMBER) not in pairwise(kinds) and is_sensible(text, tokens[0].quoted)


def is_sensible(name: str, quoted: bool = False) -> bool:
    """Return whether a text may be a class's name: printable, with a letter or digit, and no line of markup or code."""
    if not name.isprintable() or not any(letter.isalnum() for letter in name) or len(name) > MOST_NAME:
        return False
    return quoted or not (name[0] in "%=|<>{}[]@!*&`'\\" or name.startswith(("//", "--")) or '"' in name)


def _colour(values: dict[str, str]) -> Colour | None:
    if HEX in values:
        digits = values[HEX]
        return int(digits[1:3], 16), int(digits[3:5], 16), int(digits[5:7], 16)
    if "r" not in values:
        return None
    red, green, blue = (_whole(values[channel]) for channel in RGB)
    return red, green, blue


def _whole(text: str) -> int:
    """Return a whole number; -1, out of every range, for one of more digits than any colour or id has."""
    return int(text) if len(text) < 10 else -1


def _id(values: dict[str, str], line: Line) -> int | None:
    return _whole(values[ID]) if ID in values else None


def alphas(line: Line, layout: Layout) -> Iterable[str]:
    """Yield the opacity that a line has in a layout, as a text: of a colour in hexadecimal, as its last two digits."""
    behind = len(line.tokens) - len(layout)
    for index, column in enumerate(layout):
        token = line.tokens[index + (behind if index > layout.index(NAME) else 0)]
        if column == ALPHA:
            yield token.text
        elif column == HEX and len(token.text) == 9:
            yield str(int(token.text[7:], 16))
