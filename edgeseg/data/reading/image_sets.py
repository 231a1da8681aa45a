"""Split files: `ImageSets/Segmentation/train.txt` of PASCAL VOC, a name a line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgeseg.core.errors import DataError
from edgeseg.core.labels import ClassMap
from edgeseg.data.base import BrokenSample, Sample
from edgeseg.data.reading.pictures import read_text

SPLITS = ("train", "val", "test")


def read_image_sets(root: Path, samples: Mapping[str, Sample], classes: ClassMap) -> dict[str, list[Sample]]:
    """Return the splits that `ImageSets/Segmentation` or `ImageSets/Main` names, or none. Raises DataError."""
    for folder in (root / "ImageSets" / "Segmentation", root / "ImageSets" / "Main"):
        lists = {split: folder / f"{split}.txt" for split in SPLITS if (folder / f"{split}.txt").is_file()}
        if lists:
            return {split: read_list(path, samples, classes) for split, path in lists.items()}
    return {}


def read_list(path: Path, samples: Mapping[str, Sample], classes: ClassMap) -> list[Sample]:
    """Return the samples that a split file names; a name that has none is a broken sample. Raises DataError."""
    listed = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        whole = line.strip()
        if whole:
            name = _name(whole, samples)
            problem = DataError(f"{path}: line {number}: {name!r} is no sample of this data; correct the name")
            listed.append(samples.get(name) or BrokenSample(f"{path}:{number}", classes, problem))
    return listed


def _name(line: str, samples: Mapping[str, Sample]) -> str:
    if line.startswith('"'):  # as CVAT writes names with blanks
        return line[1:].partition('"')[0]
    return line if line in samples else line.split()[0]  # VOC's Main lists have a column of -1, 0 and 1
