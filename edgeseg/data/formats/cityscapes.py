"""`cityscapes:PATH`: Cityscapes (Cordts et al. 2016), fine annotations.

Layout: `leftImg8bit/<split>/<city>/*_leftImg8bit.png` with `gtFine/<split>/<city>/*_gtFine_labelIds.png`; the option
`encoding` takes the files `labelTrainIds` or `color` instead. The folders are the splits.
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

    OPTIONS: ClassVar = {"labels": LABELS_HELP, "encoding": "labelIds, labelTrainIds or color (labelIds)"}

    def __init__(self, argument: str, *, labels: str = "train", encoding: str = "labelIds") -> None:
        self.classes = classes_of(labels)
        if encoding not in ENCODINGS:
            raise UsageError(
                f"option encoding={encoding}{nearest(encoding, ENCODINGS)}; expected {', '.join(ENCODINGS)}"
            )
        self._decode = ENCODINGS[encoding](labels)
        self._suffix = f"_gtFine_{encoding}.png"
        self.root = data_folder(argument, "a folder with leftImg8bit/ and gtFine/ in it")
        self.splits = tuple(
            split
            for split in ("train", "val", "test")
            if (self.root / "leftImg8bit" / split).is_dir() and (self.root / "gtFine" / split).is_dir()
        )
        if not self.splits:
            raise DataError(f"{self.root}: no split found; expected leftImg8bit/train/ and gtFine/train/, and so on")

    def _samples(self, split: str) -> Sequence[Sample]:
        images, masks = self.root / "leftImg8bit" / split, self.root / "gtFine" / split
        wanted = {
            image: masks / image.relative_to(images).parent / f"{image.stem.removesuffix(IMAGE)}{self._suffix}"
            for image in pictures_in(images)
        }
        samples = [sample_of(image, mask, self.classes, self._decode) for image, mask in wanted.items()]
        extra = sorted(set(files_in(masks, self._suffix)) - set(wanted.values()))
        return [*samples, *(mask_without_image(mask, self.classes, images) for mask in extra)]
