"""Class lists in text files, in all forms that other tools write: understood line by line, or refused.

One layout holds for all lines: the one that a header names, else the longest that every line has. So a header in an
unknown language, a comment without its sign or a colour that lacks a number is an error that quotes the line; nothing
becomes a class because it fits nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgeseg.core.errors import DataError
from edgeseg.core.labels import IGNORE_INDEX, IGNORED, folded
from edgeseg.data.class_lists.cells import EMPTY, HEX, tokens_of, without_comment
from edgeseg.data.class_lists.columns import (
    ALPHA,
    ID,
    LAYOUTS,
    NAME,
    ClassLine,
    Layout,
    Line,
    alphas,
    alternatives,
    fitted,
    header_of,
)
from edgeseg.data.class_lists.structured import structured
from edgeseg.data.reading.pictures import read_text

MOST_ID = 0xFFFF
LABELME_IGNORE = "__ignore__"
"""The first line of LabelMe's label lists, whose number is -1: the line behind it is number 0."""
SAID = {"r": "R", "g": "G", "b": "B", ALPHA: "A", HEX: "#RRGGBB", ID: "ID", NAME: "NAME"}


def read_class_list(path: Path) -> list[ClassLine]:
    """Return the classes that a text file lists, in the order of their ids, each with its id in the mask files.

    Understood are a class a line, in the columns that a header names or that all lines have: name; id; R G B, R G B A
    or #RRGGBB, separated by blanks, tabs, `,`, `;` or `:`, names in quotes where they hold such; CVAT's
    `name:r,g,b:parts:actions`; and the subset of YAML and JSON of `edgeseg.data.class_lists.structured`. A `#` begins a
    comment. Without ids, these are the order of the lines from 0. The name `ignore` is no class.

    Raises DataError, naming the line and quoting it, for a line that does not fit.
    """
    rows = [
        (f"{path}: line {number}", without_comment(raw), raw) for number, raw in enumerate(_lines(read_text(path)), 1)
    ]
    listed = structured([(where, raw) for where, _, raw in rows], str(path))
    if listed is None:
        remark = next((_header_in_comment(where, raw) for where, text, raw in rows if not text and raw.strip()), None)
        lines = [Line(where, text, tokens_of(text)) for where, text, _ in rows if text]
        listed = _classes(lines, remark)
    return _numbered(listed)


def _lines(text: str) -> list[str]:
    """Split at line ends only: `str.splitlines` takes a form feed and others for one, and shifts the numbers."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _header_in_comment(where: str, raw: str) -> Layout | None:
    """Return the columns that a comment names, as `# label:color_rgb:parts:actions`; a lone word is none."""
    text = raw.strip().lstrip("#").strip()
    try:
        header = header_of(Line(where, text, tokens_of(text)))
    except DataError:
        return None
    return header if header and len(header) > 1 else None


def _classes(lines: list[Line], remark: Layout | None) -> list[ClassLine]:
    """Return the classes by the header in the first line or in a comment, if there is one."""
    header = header_of(lines[0]) if lines else None
    lines = lines[1:] if header else lines
    for line in lines:
        if header_of(line):
            raise line.refused("a class: a header stands in the first line only")
    if header and len(header) > 1:
        return _by_header(lines, header)
    if remark and all(any(fitted(line, each, stated=True) for each in alternatives(remark)) for line in lines):
        return _by_header(lines, remark)
    return _alike(lines)


def _by_header(lines: Sequence[Line], header: Layout) -> list[ClassLine]:
    classes = []
    for line in lines:
        fits = ((layout, fitted(line, layout, stated=True)) for layout in alternatives(header))
        layout, found = next(((layout, each) for layout, each in fits if each), (header, None))
        if found is None:
            raise line.refused(f"{_said(header)}, as the header says")
        classes.append(_checked(line, found, layout))
    return classes


def _alike(lines: Sequence[Line]) -> list[ClassLine]:
    """Return the classes by the longest layout that all lines have."""
    problems: dict[int, DataError] = {}
    for layout in LAYOUTS:
        classes = [fitted(line, layout, stated=False) for line in lines]
        found = [each for each in classes if each]
        if len(found) < len(lines) or (layout == (NAME, ID) and not _differ(found)):
            continue
        problem = _doubt(lines, found, layout)
        if problem is None and len(layout) >= max(problems, default=0):
            return [_checked(line, each, layout) for line, each in zip(lines, found, strict=True)]
        if problem is not None:
            problems.setdefault(len(layout), problem)
    if problems:  # a shorter layout would make the numbers parts of the names
        raise problems[max(problems)]
    raise _odd_one(lines)


def _differ(classes: Sequence[ClassLine]) -> bool:
    """Return whether numbers behind names may be ids: of lane 1 and lane 2 they belong to the names."""
    return len(classes) > 1 and len({folded(each.name) for each in classes}) == len(classes)


def _doubt(lines: Sequence[Line], found: Sequence[ClassLine], layout: Layout) -> DataError | None:
    """Return why the numbers of a layout are not what it takes them for, though all lines have it."""
    if ID in layout:
        ids = [each.id for each in found]
        if sorted(each or 0 for each in ids) != list(range(len(ids))):
            at = next(index for index, each in enumerate(ids) if each != index)
            return DataError(
                f"{lines[at].where}: id {ids[at]} in {lines[at].text[:80]!r}; expected 0 to {len(ids) - 1}, each once: "
                f'if these are the ids in the masks, begin the list with a line "{_said(layout).lower()}"; put a name '
                f"that holds a number into quotes"
            )
    for line in lines:
        odd = next((alpha for alpha in alphas(line, layout) if ALPHA in layout and alpha not in ("0", "255")), None)
        if odd:
            return line.refused(f"R G B or R G B A with A = 255, not {odd}: put a name that holds a number into quotes")
    return None


def _odd_one(lines: Sequence[Line]) -> DataError:
    """Return the error for the first line that is not as most others are."""
    counts = {layout: sum(fitted(line, layout, False) is not None for line in lines) for layout in LAYOUTS}
    most = max((each for each in LAYOUTS if counts[each] < len(lines)), key=lambda each: (counts[each], len(each)))
    line = next(each for each in lines if not fitted(each, most, False))
    if any(token.kind == EMPTY for token in line.tokens) or counts[most] < 1:
        return line.refused()
    return line.refused(f"a class as {_said(most)}, as {counts[most]} other line(s) are")


def _said(layout: Layout) -> str:
    return " ".join(SAID.get(column, column.upper()) for column in layout)


def _checked(line: Line, found: ClassLine, layout: Layout) -> ClassLine:
    if found.colour and not all(0 <= channel <= 255 for channel in found.colour):
        raise DataError(f"{line.where}: colour {found.colour}; expected three numbers from 0 to 255 in {line.text!r}")
    for alpha in alphas(line, layout):
        if not alpha.isdigit() or int(alpha[:9]) > 255:
            raise DataError(f"{line.where}: opacity {alpha}; expected a number from 0 to 255 in {line.text!r}")
        if not alpha.strip("0") and folded(found.name) != IGNORED:
            raise DataError(
                f"{line.where}: {found.name!r} has opacity 0, but transparent pixels are ignored; expected 255, or "
                f"the name ignore"
            )
    return found


def _numbered(found: list[ClassLine]) -> list[ClassLine]:
    """Give every class its id, and sort by them. Raises DataError for an id that is repeated or out of range."""
    if any(each.id is None for each in found):
        found = [each for each in found if folded(each.name) != LABELME_IGNORE]
        return [each._replace(id=index) for index, each in enumerate(found)]
    first: dict[int, ClassLine] = {}
    for each in (each._replace(name=IGNORED) if folded(each.name) == LABELME_IGNORE else each for each in found):
        assert each.id is not None
        if not 0 <= each.id <= MOST_ID:
            raise DataError(f"{each.where}: id {each.id} of {each.name!r}; expected 0 to {MOST_ID}")
        if each.id == IGNORE_INDEX and folded(each.name) != IGNORED:
            raise DataError(
                f"{each.where}: id {IGNORE_INDEX} is never a class but ignored, not {each.name!r}; expected the name "
                f"ignore for it, or another id"
            )
        other = first.setdefault(each.id, each)
        if other is not each:
            raise DataError(
                f"{each.where}: id {each.id} is that of {other.name!r} already; expected an id for each class"
            )
    return [first[key] for key in sorted(first)]
