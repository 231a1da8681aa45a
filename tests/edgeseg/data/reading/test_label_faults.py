"""Readers of labels on files with faults in them: labels, or one line; never anything else.

`python -m tests.edgeseg.data.reading.test_label_faults COUNT SEED` from the root tries many more.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest

from edgeseg.core.labels import ClassMap
from edgeseg.data.formats import comma10k
from edgeseg.data.reading import cityscapes_labels
from tests.helpers.cvat import cvat, entry, image, packed, polygon, shape, track, video_meta, write_cvat
from tests.helpers.data import write_mask, write_picture
from tests.helpers.label_mutations import mutated, overwritten, reads_or_says

SIZE = {"width": 12, "height": 8}
MASK = shape("mask", "car", 1, rle="1, 3, 2, 2", left=2, top=1, width=4, height=2)
IMAGES = cvat(
    image("a.png", polygon("road", "0.00,4.00;12.00,4.50;12.00,8.00;0.00,8.00"), MASK, more='subset="Train"', **SIZE),
    image("b.png", shape("box", xtl=1, ytl=1, xbr=4, ybr=3, rotation="30.00"), shape("points", points="1,1"), **SIZE),
    image(
        "c.png", shape("ellipse", "car", cx=6, cy=4, rx=3, ry=2), shape("polyline", "lane", points="1,1;2,2"), **SIZE
    ),
)
CARS = track("car", entry(0, 0, 1), entry(1, 1), entry(2, 2, 1), entry(3, 2, 1, outside=1))
VIDEO = cvat(CARS, track("road", entry(1, 4, 1), entry(2, 4, 1, outside=1)), meta=video_meta(4, **SIZE))
PHRASES = [
    *(MASK, polygon("car", "1,1;1e9,-1e9;3,3"), shape("ellipse", cx="1e7", cy=0, rx="1e7", ry="1e7"), CARS),
    *("<image>", "</image>", "<mask/>", "<track/>", "<!DOCTYPE a>", "<!-- -->", "<![CDATA[", "&lt;", "<?xml?>"),
    "<a>" * 3000 + "</a>" * 3000,
]


def cvat_images(root: Path) -> tuple[Path, str]:
    write_cvat(root, IMAGES)
    for name in ("a", "b", "c"):
        write_picture(root / "images" / f"{name}.png", 8, 12)
    return root / "annotations.xml", f"cvat:{root}"


def cvat_video(root: Path) -> tuple[Path, str]:
    write_cvat(root, VIDEO)
    for number in range(4):
        write_picture(root / "images" / f"frame_{number:06}.png", 8, 12)
    return root / "annotations.xml", f"cvat:{root}?tracks=listed&line_width=2&edges=inclusive"


def cvat_archive(root: Path) -> tuple[Path, str]:
    cvat_images(root / "task")
    archive = packed(root / "task", root / "task.zip")
    return archive, f"cvat:{archive}"


def _colours(path: Path, classes: ClassMap) -> Path:
    return write_mask(path, np.array(classes.colours, np.uint8)[np.arange(96).reshape(8, 12) % len(classes)])


def comma(root: Path) -> tuple[Path, str]:
    write_picture(root / "imgs" / "0.png", 8, 12)
    return _colours(root / "masks" / "0.png", comma10k.ROAD), f"comma10k:{root}"


def cityscapes(root: Path) -> tuple[Path, str]:
    write_picture(root / "leftImg8bit/train/a/a_0_leftImg8bit.png", 8, 12)
    mask = _colours(root / "gtFine/train/a/a_0_gtFine_color.png", cityscapes_labels.COLOURS)
    return mask, f"cityscapes:{root}"


SHARES: dict[Callable[[Path], tuple[Path, str]], int] = {
    cvat_images: 800,
    cvat_video: 500,
    cvat_archive: 400,
    comma: 150,
    cityscapes: 150,
}
"""Of 2,000."""


def outcomes(make: Callable[[Path], tuple[Path, str]], root: Path, count: int, seed: int) -> Counter[str]:
    """Return what came of `count` faulty files. Raises what a reader should not have; the file is left there."""
    path, argument = make(root)
    whole = path.read_bytes()
    assert reads_or_says(argument) in ("read", "some")
    random = Random(seed)
    phrases = [phrase.encode() for phrase in PHRASES]
    found: Counter[str] = Counter()
    for _ in range(count):
        if path.suffix == ".zip" and random.random() < 0.8:
            path.write_bytes(overwritten(whole, random, last=320))  # the directory: changed content fails its checksum
        else:
            path.write_bytes(mutated(whole, random, phrases))
        found[reads_or_says(argument)] += 1
    return found


@pytest.mark.parametrize("make", SHARES)
def test_faulty_files_are_read_or_named(make: Callable[[Path], tuple[Path, str]], tmp_path: Path) -> None:
    found = outcomes(make, tmp_path, SHARES[make], seed=18)
    assert found["refused"] + found["some"] > SHARES[make] // 4  # the faults are not all harmless


if __name__ == "__main__":
    total, seed = int(sys.argv[1]), int(sys.argv[2])
    for each, share in SHARES.items():
        with tempfile.TemporaryDirectory() as folder:
            print(each.__name__, dict(outcomes(each, Path(folder), total * share // 2000, seed)), flush=True)
