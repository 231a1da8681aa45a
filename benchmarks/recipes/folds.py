"""Folds of CamVid's train split for choosing recipes, and parts of it for asking how much a label is worth.

    python benchmarks/recipes/folds.py CamVid FOLDER

Writes folders of links that `camvid:` reads:

- `A`: val is the drive 0006R0 (101 pictures: a car park, a petrol station), train the other two drives.
- `B`: val is the last half of 0001TP and the last third of 0016E5; train is 0006R0 and what lies before these, but for
  GAP pictures, a second each, between.
- `few-25-0` and so on: so many pictures of train, drawn by the seed that follows; val is CamVid's own.

CamVid's val continues a drive that train has too, so it flatters, and what is chosen on it is chosen for that drive.
The folds touch nothing of val or test.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterable
from pathlib import Path

GAP = 5
FEW, SEEDS = (25, 50, 100, 200), (0, 1, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("camvid", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    camvid, out = arguments.camvid.resolve(), arguments.out
    names = sorted(path.name for path in (camvid / "train").glob("*.png"))
    for fold, held_out, left_out in (("A", *fold_a(names)), ("B", *fold_b(names))):
        kept = [name for name in names if name not in held_out | left_out]
        link(camvid, out / fold, "train", kept, "train")
        link(camvid, out / fold, "val", held_out, "train")
    validation = [path.name for path in (camvid / "val").glob("*.png")]
    for count in FEW:
        for seed in SEEDS:
            folder = out / f"few-{count}-{seed}"
            link(camvid, folder, "train", random.Random(f"{count} {seed}").sample(names, count), "train")
            link(camvid, folder, "val", validation, "val")


def fold_a(names: list[str]) -> tuple[set[str], set[str]]:
    """Return what is held out for validation, and what is left out altogether."""
    return {name for name in names if name.startswith("0006R0_")}, set()


def fold_b(names: list[str]) -> tuple[set[str], set[str]]:
    held_out, left_out = set(), set()
    for drive, share in (("0001TP_", 1 / 2), ("0016E5_", 2 / 3)):
        of_drive = [name for name in names if name.startswith(drive)]
        first = round(len(of_drive) * share)
        held_out.update(of_drive[first:])
        left_out.update(of_drive[first - GAP : first])
    return held_out, left_out


def link(camvid: Path, folder: Path, split: str, names: Iterable[str], source: str) -> None:
    for kind in ("", "annot"):
        (folder / f"{split}{kind}").mkdir(parents=True, exist_ok=True)
        for name in names:
            path = folder / f"{split}{kind}" / name
            if not path.is_symlink():
                path.symlink_to(camvid / f"{source}{kind}" / name)


if __name__ == "__main__":
    main()
