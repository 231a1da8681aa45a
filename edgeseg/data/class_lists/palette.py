"""Class lists in text files: `labelmap.txt` of CVAT and `classes.txt` of a folder of masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from edgeseg.core.errors import DataError, UsageError, nearest
from edgeseg.core.labels import IGNORE_INDEX, IGNORED, ClassMap, Colour, folded
from edgeseg.data.class_lists.lines import read_class_list
from edgeseg.data.reading.colour_masks import ColourMask
from edgeseg.data.reading.masks import IdMask
from edgeseg.data.reading.shapes import distinct_colours


@dataclass(frozen=True)
class Palette:
    """A class list. The name `ignore` is no class.

    Attributes:
        lines: name and colour, in the order of their ids.
        has_colours: the colours are those of the list, not chosen to show the classes in.
        ids: what stands for each in mask files; the order of the lines, from 0, if it is empty.
    """

    lines: tuple[tuple[str, Colour], ...]
    has_colours: bool
    ids: tuple[int, ...] = ()

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
        return replace(self, lines=tuple(lines))

    def decode_ids(self, trusted: bool = False, values: Mapping[int, str] = MappingProxyType({})) -> IdMask:
        """Return what makes classes of a file of these ids.

        Args:
            trusted: a palette file with these colours in another order is none the less what is meant, and no error.
            values: other ids that stand for a class, or for `ignore`, by its name.

        Raises:
            UsageError: a name of `values` is no class.
        """
        ids = self.ids or tuple(range(len(self.lines)))
        pairs, index = {IGNORE_INDEX: IGNORE_INDEX}, 0
        for file_id, (name, _) in zip(ids, self.lines, strict=True):
            kept = folded(name) != IGNORED
            pairs[file_id] = index if kept else IGNORE_INDEX
            index += kept
        pairs.update({file_id: self._index(file_id, name) for file_id, name in values.items()})
        listed = tuple((file_id, colour) for file_id, (_, colour) in zip(ids, self.lines, strict=True))
        colours = listed if self.has_colours else ()
        return IdMask(tuple(pairs.items()), colours=() if trusted else colours)

    def _index(self, file_id: int, name: str) -> int:
        if folded(name) == IGNORED:
            return IGNORE_INDEX
        index = self.classes.index(name)
        if index is None:
            names = self.classes.names
            raise UsageError(
                f"option values={file_id}:{name}{nearest(name, names)}; expected one of {', '.join(names)}, or ignore"
            )
        return index

    def decode_colours(
        self, where: Path, tolerance: int | None = None, what: str = "the masks are colours"
    ) -> ColourMask:
        """Return what makes classes of a file of these colours, with a tolerance for lossy ones.

        Raises DataError, naming `where`; `what` says why colours are needed.
        """
        if not self.has_colours:
            raise DataError(f"{where}: names without colours, but {what}; expected lines NAME R G B")
        try:
            mask = ColourMask.of(self.classes, tuple(colour for name, colour in self.lines if folded(name) == IGNORED))
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        return replace(mask, tolerance=tolerance, takes_tolerance=True)


def read_palette(path: Path) -> Palette:
    """Read a class list, in any form of `edgeseg.data.class_lists.lines`. Raises DataError, naming the line."""
    listed = read_class_list(path)
    own = [each.colour for each in listed if each.colour is not None]
    others = distinct_colours(len(listed), avoid=own)
    try:
        palette = Palette(
            tuple((each.name, next(others) if each.colour is None else each.colour) for each in listed),
            has_colours=len(own) == len(listed),
            ids=tuple(each.id or 0 for each in listed),
        )
        _ = palette.classes  # checks the names and their number
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return palette
