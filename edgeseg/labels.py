"""Class maps: the names, colours and order of the classes that a mask's ids stand for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeseg.errors import DataError

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
        repeated = sorted({name for name in self.names if self.names.count(name) > 1})
        if repeated:
            raise DataError(f"class name {repeated[0]!r} is given twice; each class needs a name of its own")
        if any(not 0 <= channel <= 255 for colour in self.colours for channel in colour):
            raise DataError("a class colour is outside 0 to 255; give RGB colours as three bytes")
        if not len(self.names) <= self.ignore_index <= 255:
            raise DataError(
                f"ignore index {self.ignore_index} with {len(self.names)} classes; "
                f"expected {len(self.names)} to 255: it must not be a class id"
            )

    def __len__(self) -> int:
        return len(self.names)

    def palette(self) -> NDArray[np.uint8]:
        """Return the RGB colour of every byte value: (256, 3) uint8, black where there is no class."""
        palette = np.zeros((256, 3), np.uint8)
        palette[: len(self)] = self.colours
        return palette

    def check(self, class_map: NDArray[np.uint8], where: str) -> None:
        """Raise DataError, naming `where`, if the (H, W) uint8 mask holds an id that is no class and not ignored."""
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
