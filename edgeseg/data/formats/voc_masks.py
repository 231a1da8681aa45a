"""`voc-masks:PATH`: PASCAL VOC segmentation masks, as the VOC challenge and CVAT ('Segmentation mask') write them.

Layout: `JPEGImages/*.jpg` with `SegmentationClass/*.png`; `labelmap.txt` (`name:r,g,b::`) has the colours. Without one,
the masks are palette PNGs with the ids of `class_names.txt` (as LabelMe's labelme2voc writes both), or with the 21 ids
of VOC; 255 = border. `ImageSets/Segmentation/*.txt` are the splits if they
are there; otherwise whole drives are chosen (`edgeseg.data.splits`).
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from edgeseg.core.errors import DataError
from edgeseg.core.labels import ClassMap
from edgeseg.data.base import BrokenSample, Sample
from edgeseg.data.class_lists.palette import Palette, read_palette
from edgeseg.data.reading.colour_masks import TOLERANCE_OPTION, parse_tolerance
from edgeseg.data.reading.image_sets import read_image_sets
from edgeseg.data.reading.listing import data_folder, pictures_in
from edgeseg.data.reading.lookup import find_image
from edgeseg.data.reading.pairs import FileSample, mask_without_image, masks_in, sample_of
from edgeseg.data.reading.pictures import MaskDecoder
from edgeseg.data.reading.shapes import distinct_colours
from edgeseg.data.splits import SPLIT_OPTIONS, ListedDataset, SplitRule

VOC_NAMES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
VOC_CLASSES = ClassMap(VOC_NAMES, ((0, 0, 0), *distinct_colours(len(VOC_NAMES) - 1)))


class VocMasks(ListedDataset):
    """Masks without a picture are listed as broken; pictures without a mask are not labelled, and left out."""

    OPTIONS: ClassVar = {
        "images": "the folder of the pictures, if it is none of JPEGImages and images",
        "ignore": "a class that is none but ignored, such as background",
        **TOLERANCE_OPTION,
        **SPLIT_OPTIONS,
    }

    def __init__(self, argument: str, *, images: str = "", ignore: str = "", tolerance: str = "", **split: str) -> None:
        root = data_folder(argument, "a folder with SegmentationClass/*.png and JPEGImages/ in it")
        near = parse_tolerance(tolerance)
        masks = masks_in(root / "SegmentationClass")
        if not masks:
            raise DataError(f"{root / 'SegmentationClass'}: no mask; expected PNG files in it")
        self.classes, decode = _classes(root, ignore, near)
        folders = [root / images] if images else [root / name for name in ("JPEGImages", "images", ".")]
        samples: dict[str, Sample] = {}
        for stem, mask in masks.items():
            try:
                image = find_image(root, folders, (), [stem])
            except DataError as error:
                samples[stem] = BrokenSample(str(mask), self.classes, error)
                continue
            found = sample_of(image, mask, self.classes, decode) if image else None
            samples[stem] = found or mask_without_image(mask, self.classes, folders[0])
        used = {sample.image for sample in samples.values() if isinstance(sample, FileSample)}
        there = (folder for folder in folders if folder != root and folder.is_dir())  # beside lie other things too
        self.remarks.take_in_unlabelled(sum(path not in used for folder in there for path in pictures_in(folder)))
        sets = read_image_sets(root, samples, self.classes)
        if sets:
            self._list(sets)
        else:
            self._divide(list(samples.values()), list(samples), SplitRule.parse(split))


def _classes(root: Path, ignore: str, tolerance: int | None) -> tuple[ClassMap, MaskDecoder]:
    """Return the classes of the list that is there, CVAT's of colours or LabelMe's of ids, else those of VOC."""
    colours, ids = root / "labelmap.txt", root / "class_names.txt"
    if colours.is_file():
        palette = read_palette(colours).with_ignored(ignore, colours)
        return palette.classes, palette.decode_colours(colours, tolerance)
    if ids.is_file():
        palette = read_palette(ids).with_ignored(ignore, ids)
    else:
        palette = Palette(tuple(zip(VOC_NAMES, VOC_CLASSES.colours, strict=True)), has_colours=True)
        palette = palette.with_ignored(ignore, root)
    return palette.classes, palette.decode_ids(trusted=True)
