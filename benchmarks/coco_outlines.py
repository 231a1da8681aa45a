"""What masks lose when `edgeseg predict --coco` writes them as polygons, read back by COCO's own tools and by `coco:`.

    python benchmarks/coco_outlines.py camvid:CAMVID [--settings 0,1 1,16] [--every 1]

Every `--every`th label of all splits is written as COCO at each setting (tolerance, smallest area), and its polygons
are filled by pycocotools and by edgeseg. Given are pixels that differ, and the IoU of each class with the label it was
made of, over all pictures together.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.data.argument import open_dataset
from edgeseg.data.base import Mask, Sample
from edgeseg.data.reading.polygons import PIXEL, Canvas, Figure
from edgeseg.data.tools.write_coco import CocoDocument

READERS = ("pycocotools", "edgeseg")


def main() -> None:
    """Print a table for each setting."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--settings", nargs="+", default=["0,1", "1,16"])
    parser.add_argument("--every", type=int, default=1)
    asked = parser.parse_args()
    dataset = open_dataset(asked.data)
    samples = [sample for split in dataset.splits for sample in dataset.split(split)][:: asked.every]
    for setting in asked.settings:
        tolerance, area = setting.split(",")
        measure(samples, dataset.classes, float(tolerance), int(area))


def measure(samples: Sequence[Sample], classes: ClassMap, tolerance: float, min_area: int) -> None:
    """Write and read back; print."""
    document = CocoDocument(classes, min_area, tolerance)
    both, either = (np.zeros((len(READERS), len(classes)), np.int64) for _ in range(2))
    pixels, differing, annotations, corners = 0, np.zeros(len(READERS), np.int64), 0, 0
    for sample in samples:
        label = sample.read_class_map()
        made = document.annotations_of(label)
        annotations += len(made)
        corners += sum(len(each["segmentation"][0]) // 2 for each in made)
        pixels += label.size
        for reader, back in enumerate(read_back(made, Size(*label.shape), classes.ignore_index)):
            differing[reader] += (back != label).sum()
            for index in range(len(classes)):
                both[reader, index] += ((back == index) & (label == index)).sum()
                either[reader, index] += ((back == index) | (label == index)).sum()
    print(
        f"\ntolerance {tolerance}, smallest area {min_area}: {len(samples)} pictures, {annotations / len(samples):.1f}"
    )
    print(f"polygons and {corners / len(samples):.0f} corners a picture\n")
    print("| | " + " | ".join(READERS) + " |\n|---|" + "---|" * len(READERS))
    print("| pixels that differ | " + " | ".join(f"{each} ({each / pixels:.3%})" for each in differing) + " |")
    for index, name in enumerate(classes.names):
        if either[0, index]:
            print(
                f"| IoU of {name} | " + " | ".join(f"{each:.4f}" for each in both[:, index] / either[:, index]) + " |"
            )


def read_back(made: Sequence[Any], size: Size, ignored: int) -> tuple[NDArray[np.uint8], Mask]:
    """Return the class map that the annotations give in pycocotools, and in edgeseg."""
    theirs, ours = np.full(size, ignored, np.uint8), Canvas(size, ignored)
    for each in made:
        class_id = each["category_id"] - 1
        theirs[coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(each["segmentation"], *size))) > 0] = class_id
        for polygon in each["segmentation"]:
            ours.fill(Figure(np.array(polygon, np.float64).reshape(-1, 2)), class_id, PIXEL)
    return theirs, ours.class_map


if __name__ == "__main__":
    main()
