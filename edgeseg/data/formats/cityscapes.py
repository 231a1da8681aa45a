"""`cityscapes:PATH`: Cityscapes (Cordts et al. 2016), fine annotations.

Layout: `leftImg8bit/<split>/<city>/*_leftImg8bit.png` with `gtFine/<split>/<city>/*_gtFine_labelIds.png`. Where these
are missing, the files `labelTrainIds` are read, or else `color`; the option `encoding` says which to take. The folders
are the splits. Of files `color` the classes are the 29 that differ in colour, unless `labels` says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from edgeseg.core.errors import DataError, UsageError, nearest
from edgeseg.data.base import Dataset, Sample
from edgeseg.data.reading.cityscapes_labels import LABELS_HELP, classes_of, decode_colours, decode_ids, decode_train_ids
from edgeseg.data.reading.listing import data_folder, files_in, pictures_in
from edgeseg.data.reading.pairs import mask_without_image, sample_of
from edgeseg.data.reading.pictures import MaskDecoder

ENCODINGS: dict[str, Callable[[str], MaskDecoder]] = {
    "labelIds": decode_ids,
    "labelTrainIds": decode_train_ids,
    "color": decode_colours,
}
IMAGE = "_leftImg8bit"


class Cityscapes(Dataset):
    """The splits that have pictures and annotations."""

    OPTIONS: ClassVar = {
        "labels": LABELS_HELP.replace("(train)", "(train; where there are only files color: colours)"),
        "encoding": "labelIds, labelTrainIds or color (the first of them that is there)",
    }

    def __init__(self, argument: str, *, labels: str = "", encoding: str = "") -> None:
        classes_of(labels or "train")
        if encoding not in ("", *ENCODINGS):
            raise UsageError(
                f"option encoding={encoding}{nearest(encoding, ENCODINGS)}; expected {', '.join(ENCODINGS)}"
            )
        self.root = data_folder(argument, "a folder with leftImg8bit/ and gtFine/ in it")
        self.splits = tuple(
            split
            for split in ("train", "val", "test")
            if (self.root / "leftImg8bit" / split).is_dir() and (self.root / "gtFine" / split).is_dir()
        )
        if not self.splits:
            raise DataError(f"{self.root}: no split found; expected leftImg8bit/train/ and gtFine/train/, and so on")
        found = encoding or self._found()
        labels = labels or ("colours" if found == "color" and not encoding else "train")
        self.classes = classes_of(labels)
        self._decode = ENCODINGS[found](labels)
        self._suffix = f"_gtFine_{found}.png"

    def _found(self) -> str:
        """Return the first encoding of which there is any file; labelIds if there is none."""
        folders = [self.root / "gtFine" / split for split in self.splits]
        there = (each for each in ENCODINGS for folder in folders if any(folder.rglob(f"*_gtFine_{each}.png")))
        return next(there, "labelIds")

    def _samples(self, split: str) -> Sequence[Sample]:
        images, masks = self.root / "leftImg8bit" / split, self.root / "gtFine" / split
        wanted = {
            image: masks / image.relative_to(images).parent / f"{image.stem.removesuffix(IMAGE)}{self._suffix}"
            for image in pictures_in(images)
        }
        samples = [sample_of(image, mask, self.classes, self._decode) for image, mask in wanted.items()]
        extra = sorted(set(files_in(masks, self._suffix)) - set(wanted.values()))
        return [*samples, *(mask_without_image(mask, self.classes, images) for mask in extra)]
