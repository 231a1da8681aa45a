"""`kitti-road:PATH`: KITTI's road benchmark (Fritsch et al. 2013): magenta road, red not road, black not labelled.

Layout: `training/image_2/um_000000.png` with `training/gt_image_2/um_road_000000.png`; PATH is the folder above
`training/`, or it. Black is ignored: counted as road or as not road, it would teach what nobody labelled.

The names tell no drive but three kinds of road: um, umm and uu. Each counts as one drive where the split is chosen, so
`val` is a kind of road that was not trained on. `group=(.*)\\d$` makes drives of ten successive pictures instead.
"""

from __future__ import annotations

from typing import ClassVar

from edgeseg.core.errors import DataError, UsageError, nearest
from edgeseg.core.labels import ClassMap
from edgeseg.data.base import Sample
from edgeseg.data.reading.colour_masks import ColourMask
from edgeseg.data.reading.listing import data_folder, files_in, pictures_in
from edgeseg.data.reading.pairs import mask_without_image, sample_of
from edgeseg.data.splits import SPLIT_OPTIONS, ListedDataset, SplitRule

CLASSES = ClassMap(("not road", "road"), ((255, 0, 0), (255, 0, 255)))
DECODE = ColourMask.of(CLASSES, void=((0, 0, 0),))
TRUTHS = ("road", "lane")


class KittiRoad(ListedDataset):
    """Only `training/` has labels."""

    OPTIONS: ClassVar = {
        "truth": "road: all that is road; lane: the own lane only, which not every picture has (road)",
        **SPLIT_OPTIONS,
    }

    def __init__(self, argument: str, *, truth: str = "road", **split: str) -> None:
        if truth not in TRUTHS:
            raise UsageError(f"option truth={truth}{nearest(truth, TRUTHS)}; expected {' or '.join(TRUTHS)}")
        root = data_folder(argument, "a folder with training/image_2/ and training/gt_image_2/ in it")
        training = root / "training" if (root / "training").is_dir() else root
        images, masks = training / "image_2", training / "gt_image_2"
        if not masks.is_dir():
            raise DataError(f"{masks}: no such folder; expected ground truth such as um_road_000000.png in it")
        self.classes = CLASSES
        names = {}
        for image in pictures_in(images):
            kind, _, number = image.stem.partition("_")
            names[f"{kind}_{truth}_{number}.png"] = image
        present = {path.name: path for path in files_in(masks, ".png") if f"_{truth}_" in path.name}
        if truth == "lane":  # drawn for one kind of road only
            self.remarks.take_in_unlabelled(sum(name not in present for name in names))
            names = {name: image for name, image in names.items() if name in present}
        samples: list[Sample] = [sample_of(image, masks / name, CLASSES, DECODE) for name, image in names.items()]
        keys = [image.stem for image in names.values()]
        extra = [name for name in sorted(present) if name not in names]
        samples += [mask_without_image(present[name], CLASSES, images) for name in extra]
        self._divide(
            samples,
            keys + [name.replace(f"_{truth}_", "_").removesuffix(".png") for name in extra],
            SplitRule.parse(split),
        )
