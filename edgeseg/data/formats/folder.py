"""`folder:PATH`: pictures and equally named masks side by side.

Layout: `images/*` with `masks/*.png` and `classes.txt`, a class a line in the order of the ids: `NAME` or
`NAME R G B`, or another form of class lists (`edgeseg.data.class_lists.lines`).
The masks hold ids (grey or palette, 255 = ignore) or these colours. The name `ignore` is no class: what it marks is
ignored. Folders `train/`, `val/` and `test/` within `images/` and `masks/` are the splits if they are there; otherwise
whole drives are chosen (`edgeseg.data.splits`).
"""

from __future__ import annotations

from typing import ClassVar

from edgeseg.data.class_lists.encoding import VALUES_OPTION, check_encoding, mask_decoder, parse_values
from edgeseg.data.class_lists.palette import read_palette
from edgeseg.data.reading.colour_masks import TOLERANCE_OPTION, parse_tolerance
from edgeseg.data.reading.layout import class_list_of, images_of, masks_of
from edgeseg.data.reading.listing import data_folder
from edgeseg.data.reading.pairs import masks_in, pair_samples
from edgeseg.data.splits import SPLIT_OPTIONS, ListedDataset, SplitRule


class Folder(ListedDataset):
    """The encoding is that of the first mask that tells it, if it is not said."""

    OPTIONS: ClassVar = {
        "images": "the folder of the pictures (images, or another usual name)",
        "masks": "the folder of the masks (masks, or another usual name)",
        "palette": "the class list (classes.txt, or another usual name)",
        "encoding": "ids or colours (as the first mask is)",
        "suffix": "what a mask's name has behind its picture's (.png, or that of another kind of picture)",
        **VALUES_OPTION,
        **TOLERANCE_OPTION,
        **SPLIT_OPTIONS,
    }

    def __init__(
        self,
        argument: str,
        *,
        images: str = "",
        masks: str = "",
        palette: str = "",
        encoding: str = "",
        suffix: str = "",
        values: str = "",
        tolerance: str = "",
        **split: str,
    ) -> None:
        root = data_folder(argument, "a folder with images/, masks/ and classes.txt in it")
        check_encoding(encoding)
        near, named = parse_tolerance(tolerance), parse_values(values)
        listed = class_list_of(root, palette)
        lines = read_palette(listed)
        self.classes = lines.classes
        pictures, labels = images_of(root, images), masks_of(root, masks)
        decode = mask_decoder(lines, listed, encoding, masks_in(labels, suffix).values(), near, named)
        samples = pair_samples(pictures, labels, self.classes, decode, suffix)
        self._divide(list(samples.values()), list(samples), SplitRule.parse(split))
