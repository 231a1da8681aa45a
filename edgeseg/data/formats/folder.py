"""`folder:PATH`: pictures and equally named masks side by side.

Layout: `images/*` with `masks/*.png` and `classes.txt`, a class a line in the order of the ids: `NAME` or
`NAME R G B`.
The masks hold ids (grey or palette, 255 = ignore) or these colours. The name `ignore` is no class: what it marks is
ignored. Folders `train/`, `val/` and `test/` within `images/` and `masks/` are the splits if they are there; otherwise
whole drives are chosen (`edgeseg.data.splits`).
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from edgeseg.core.errors import DataError, UsageError, nearest
from edgeseg.data.reading.masks import has_ids
from edgeseg.data.reading.palette import read_palette
from edgeseg.data.reading.pictures import data_folder, files_in, pair_samples
from edgeseg.data.splits import SPLIT_OPTIONS, ListedDataset, SplitRule

ENCODINGS = ("ids", "colours")


class Folder(ListedDataset):
    """The encoding is that of the first mask, if it is not said."""

    OPTIONS: ClassVar = {
        "images": "the folder of the pictures (images)",
        "masks": "the folder of the masks (masks)",
        "palette": "the class list (classes.txt)",
        "encoding": "ids or colours (as the first mask is)",
        "suffix": "what a mask's name has behind its picture's (.png)",
        **SPLIT_OPTIONS,
    }

    def __init__(
        self,
        argument: str,
        *,
        images: str = "images",
        masks: str = "masks",
        palette: str = "classes.txt",
        encoding: str = "",
        suffix: str = ".png",
        **split: str,
    ) -> None:
        root = data_folder(argument, "a folder with images/, masks/ and classes.txt in it")
        if encoding not in ("", *ENCODINGS):
            raise UsageError(
                f"option encoding={encoding}{nearest(encoding, ENCODINGS)}; expected {' or '.join(ENCODINGS)}"
            )
        listed = root / palette
        if not listed.is_file():
            raise DataError(
                f"{listed}: no such file; expected a class list, in the order of the ids, a line NAME R G B each"
            )
        lines = read_palette(listed)
        self.classes = lines.classes
        files = files_in(root / masks, suffix)
        by_id = encoding == "ids" or (not encoding and bool(files) and _first_has_ids(files))
        decode = lines.decode_ids(trusted=encoding == "ids") if by_id else lines.decode_colours(listed)
        samples = pair_samples(root / images, root / masks, self.classes, decode, suffix)
        self._divide(list(samples.values()), list(samples), SplitRule.parse(split))


def _first_has_ids(files: list[Path]) -> bool:
    for path in files:
        try:
            return has_ids(path)
        except DataError:  # it is named when it is read
            continue
    return True
