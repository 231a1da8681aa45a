"""`comma10k:PATH`: comma10k (comma.ai, 2020): frames of many drives, masks of five colours.

Layout, names and colours are those of README.md in github.com/commaai/comma10k: `imgs/*.png` with equally named
`masks/*.png`; the option `images` takes `imgs2` (a road and a wide camera) or `imgsd` (a camera at the driver, with a
sixth class) instead, of which not all pictures have masks. An early version marked what is empty as white, a later one
as black, the present one leaves nothing empty: both are ignored.

Without options the splits are those of the README: names that end with 9 are `val`. With one of the options of
`edgeseg.data.splits` whole drives are chosen.
"""

from __future__ import annotations

import re
from typing import ClassVar

from edgeseg.core.errors import UsageError, nearest
from edgeseg.core.labels import ClassMap
from edgeseg.data.base import Sample
from edgeseg.data.reading.colour_masks import ColourMask
from edgeseg.data.reading.listing import data_folder, files_in
from edgeseg.data.reading.pairs import pair_samples
from edgeseg.data.splits import SPLIT_OPTIONS, ListedDataset, SplitRule

ROAD = ClassMap(
    ("road", "lane markings", "undrivable", "movable", "my car"),
    ((64, 32, 32), (255, 0, 0), (128, 128, 96), (0, 255, 102), (204, 0, 255)),
)
DRIVER = ClassMap((*ROAD.names, "movable in my car"), (*ROAD.colours, (0, 204, 255)))
EMPTY = ((255, 255, 255), (0, 0, 0))
SETS = {"imgs": ("masks", ROAD), "imgs2": ("masks2", ROAD), "imgsd": ("masksd", DRIVER)}
DRIVE = re.compile(r"[0-9a-f]{16}_[0-9]{4}-[0-9]{2}-[0-9]{2}--[0-9]{2}-[0-9]{2}-[0-9]{2}")
"""A device and when it set out, in names as 0000_0085e9e41513078a_2018-08-19--13-26-08_11_864. Two cameras' pictures of
one moment share it (00000_e_..., 00000_f_...)."""


class Comma10k(ListedDataset):
    """Pictures without a mask are errors in `imgs`, which is complete, and left out of the other sets."""

    OPTIONS: ClassVar = {"images": "imgs, imgs2 or imgsd (imgs)", **SPLIT_OPTIONS}

    def __init__(self, argument: str, *, images: str = "imgs", **split: str) -> None:
        if images not in SETS:
            raise UsageError(f"option images={images}{nearest(images, SETS)}; expected {', '.join(SETS)}")
        masks, self.classes = SETS[images]
        root = data_folder(argument, "a folder with imgs/ and masks/ in it")
        samples = pair_samples(root / images, root / masks, self.classes, ColourMask.of(self.classes, EMPTY))
        if images != "imgs":
            labelled = {path.relative_to(root / masks).with_suffix("").as_posix() for path in files_in(root / masks)}
            self.remarks.take_in_unlabelled(sum(name not in labelled for name in samples))
            samples = {name: sample for name, sample in samples.items() if name in labelled}
        rule = SplitRule.parse(split)
        if rule.group is None and all(DRIVE.search(name) for name in samples):
            rule = SplitRule(rule.val, rule.test, rule.seed, DRIVE)
        if split:
            self._divide(list(samples.values()), list(samples), rule)
            return
        listed: dict[str, list[Sample]] = {"train": [], "val": []}
        for name, sample in samples.items():
            sample.drive = rule.drive(name)
            listed["val" if name.endswith("9") else "train"].append(sample)
        self._list({name: part for name, part in listed.items() if part})
