"""Class maps: the names, colours and order of the classes that a mask's ids stand for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import DataError, UsageError, nearest

IGNORE_INDEX = 255
"""The class id of pixels without a label (void): trained on by nothing, counted by no metric."""

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class ClassMap:
    """Classes in index order.

    Attributes:
        names: one a class; index i is class id i in every mask.
        colours: RGB, 0 to 255, one a class.
        ignore_index: id of unlabelled pixels; never a class id.
    """

    names: tuple[str, ...]
    colours: tuple[Colour, ...]
    ignore_index: int = IGNORE_INDEX

    def __post_init__(self) -> None:
        if not 1 <= len(self.names) <= 255:
            raise DataError(f"{len(self.names)} classes given; expected 1 to 255: masks hold one byte a pixel")
        if len(self.names) != len(self.colours):
            raise DataError(
                f"{len(self.names)} class names but {len(self.colours)} colours; give each class one RGB colour"
            )
        for name in self.names:
            check_text(name, "a class name")
        compared = [folded(name) for name in self.names]
        repeated = sorted({name for name in self.names if compared.count(folded(name)) > 1})
        if repeated:
            raise DataError(
                f"class name {repeated[0]!r} is given twice, whatever its case; each class needs a name of its own"
            )
        if any(not 0 <= channel <= 255 for colour in self.colours for channel in colour):
            raise DataError("a class colour is outside 0 to 255; give RGB colours as three bytes")
        if not len(self.names) <= self.ignore_index <= 255:
            raise DataError(
                f"ignore index {self.ignore_index} with {len(self.names)} classes; "
                f"expected {len(self.names)} to 255: it must not be a class id"
            )

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int | None:
        """Return the class id of a name, matched without regard to case and outer blanks, or None."""
        wanted = folded(name)
        return next((index for index, known in enumerate(self.names) if folded(known) == wanted), None)

    def palette(self) -> NDArray[np.uint8]:
        """Return the RGB colour of every byte value: (256, 3) uint8, black where there is no class."""
        palette = np.zeros((256, 3), np.uint8)
        palette[: len(self)] = self.colours
        return palette

    def check(self, class_map: NDArray[np.uint8], where: str) -> None:
        """Raise DataError, naming `where`, if the (H, W) uint8 mask holds an id that is no class and not ignored."""
        if not ((class_map >= len(self)) & (class_map != self.ignore_index)).any():
            return  # ten times as fast as counting, which would be half of what reading a packed sample takes
        present = np.flatnonzero(np.bincount(class_map.ravel(), minlength=256))
        unknown = [int(i) for i in present if i >= len(self) and i != self.ignore_index]
        if unknown:
            rows, columns = np.nonzero(class_map == unknown[0])
            also = f", and {len(unknown) - 1} more unknown ids" if len(unknown) > 1 else ""
            raise DataError(
                f"{where}: class id {unknown[0]} in {len(rows)} pixel(s), the first at x {columns[0]}, y {rows[0]}"
                f"{also}; expected 0 to {len(self) - 1} or {self.ignore_index} (ignore); "
                f"correct the mask or the class list"
            )


def check_text(text: str, what: str = "a text") -> None:
    """Raise DataError for what is no text: half a character (a lone surrogate), or a zero, where C's texts end."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{what} holds half a character, a lone surrogate, in {ascii(text)[:80]}; correct it"
        ) from error
    if "\0" in text:
        raise DataError(f"{what} holds a zero in {text[:80]!r}; correct it")


def folded(name: str) -> str:
    """Return the form in which class names are compared: `Road`, `road ` and `ROAD` are one class."""
    return " ".join(name.split()).casefold()


REST = "*"
"""In a merge rule: every class that no other part of the rule names."""
IGNORED = "ignore"
"""In a merge rule: the target that is no class; its sources become the ignore index."""


def merge_classes(classes: ClassMap, rule: str) -> tuple[ClassMap, NDArray[np.uint8]]:
    """Merge classes by a rule such as `road=road,parking;other=*`.

    Parts are separated by `;` and give the new classes in their order: `new=old,old`, or just `old` to keep one. `*`
    stands for every class that is not named; without a `*` those become ignore, and so do the sources of the target
    `ignore`. Ignored pixels stay ignored. A new class has the colour of its source of the same name, or of its first.

    Returns:
        The new classes, and the new id of every byte value: (256,) uint8. Every id that is no class becomes ignore.

    Raises:
        UsageError: a part has no source, a class is unknown or named twice, or no class is left.
    """
    parts = _parsed(rule)
    targets = [folded(target) for target, _ in parts]
    repeated = next((target for target in targets if targets.count(target) > 1), None)
    if repeated:
        raise UsageError(f"classes {rule!r}: {repeated!r} is made twice; name all its sources in one part")
    groups = _resolved(classes, parts, rule)
    table = np.full(256, classes.ignore_index, np.uint8)
    names: list[str] = []
    colours: list[Colour] = []
    for target, sources in groups:
        if folded(target) == IGNORED or not sources:
            continue
        namesake = next((each for each in sources if folded(classes.names[each]) == folded(target)), sources[0])
        table[sources] = len(names)
        names.append(target)
        colours.append(classes.colours[namesake])
    if not names:
        raise UsageError(f"classes {rule!r}; this leaves no class: name at least one, for example {classes.names[0]}")
    return ClassMap(tuple(names), tuple(colours), classes.ignore_index), table


def _parsed(rule: str) -> list[tuple[str, list[str]]]:
    parts = []
    for part in filter(None, (part.strip() for part in rule.split(";"))):
        target, equals, sources = part.partition("=")
        names = [name.strip() for name in (sources if equals else target).split(",")]
        if not target.strip() or not all(names) or "=" in sources or (not equals and len(names) > 1):
            raise UsageError(f"classes: {part!r} in {rule!r}; expected NEW=OLD,OLD;NEW=*, as in road=road,parking")
        parts.append((target.strip(), names))
    return parts


def _resolved(classes: ClassMap, parts: list[tuple[str, list[str]]], rule: str) -> list[tuple[str, list[int]]]:
    """Return the class ids of each part; the rest goes to the part that has the `*`."""
    used: dict[int, str] = {}
    groups: list[tuple[str, list[int]]] = []
    rest: list[int] | None = None
    for target, names in parts:
        sources: list[int] = []
        for name in names:
            if name == REST:
                if rest is not None:
                    raise UsageError(f"classes {rule!r}: * stands twice; only one class can take all the others")
                rest = sources
                continue
            index = classes.index(name)
            if index is None:
                known = ", ".join(classes.names)
                raise UsageError(f"classes: {name!r} is no class{nearest(name, classes.names)}; this data has: {known}")
            if index in used:
                raise UsageError(f"classes: {name!r} goes to {used[index]!r} and to {target!r}; expected one of them")
            used[index] = target
            sources.append(index)
        groups.append((target, sources))
    if rest is not None:
        rest += [index for index in range(len(classes)) if index not in used]
    return groups
