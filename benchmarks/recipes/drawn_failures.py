"""What a model makes of drawn streets, one picture for each thing that goes wrong on real ones.

    python benchmarks/recipes/drawn_failures.py RUN --picture docs/recipes-failures.jpg

The streets are `scenes:`, by seed, some of them with a change drawn in (a night, an own bonnet, a deep blue sky): a
place to show failures that may be shown to anybody. `edgeseg predict` writes masks and overlays; printed is what each
part of a street became.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Size
from edgeseg.scenes import CLASSES, render_scene

Picture = NDArray[np.uint8]
SIZE = Size(360, 480)
SKY = CLASSES.names.index("Sky")


def night(picture: Picture, _: Picture) -> Picture:
    """Dark, but for a pool of light ahead."""
    light = np.zeros(picture.shape[:2], np.float32)
    cv2.ellipse(light, (240, 300), (200, 70), 0, 0, 360, 0.5, -1)
    light = np.asarray(cv2.GaussianBlur(light, (0, 0), 25), np.float32)
    return np.asarray(np.clip(picture * (0.12 + light[..., None]), 0, 255), np.uint8)


def bonnet(picture: Picture, _: Picture) -> Picture:
    changed: Picture = picture.copy()
    cv2.ellipse(changed, (240, 385), (330, 75), 0, 0, 360, (70, 60, 60), -1, cv2.LINE_AA)
    cv2.ellipse(changed, (240, 400), (250, 70), 0, 0, 360, (120, 108, 105), -1, cv2.LINE_AA)
    return changed


def blue_sky(picture: Picture, class_map: Picture) -> Picture:
    """A cloudless sky, deep blue above."""
    share = np.linspace(0, 1, picture.shape[0])[:, None, None]
    sky = np.array([150, 80, 25]) * (1 - share) + np.array([235, 190, 140]) * share
    return np.asarray(np.where((class_map == SKY)[..., None], sky, picture), np.uint8)


def as_drawn(picture: Picture, _: Picture) -> Picture:
    return picture


CASES: dict[str, tuple[int, Callable[[Picture, Picture], Picture]]] = {
    "dull sky": (8, as_drawn),
    "overpass": (26, as_drawn),
    "grass and a near sign": (30, as_drawn),
    "low clouds": (34, as_drawn),
    "blue sky": (0, blue_sky),
    "bonnet": (12, bonnet),
    "night": (3, night),
}


def became(drawn: Picture, predicted: Picture, names: Sequence[str]) -> list[str]:
    """Say for each drawn class that fills a fiftieth of the picture what at least a tenth of it was taken for."""
    lines = []
    for index, name in enumerate(CLASSES.names):
        taken_for = predicted[drawn == index]
        if len(taken_for) < drawn.size / 50:
            continue
        shares = np.bincount(taken_for, minlength=len(names)) / len(taken_for)
        most = [f"{names[each]} {shares[each]:.0%}" for each in np.argsort(-shares) if shares[each] >= 0.1]
        lines.append(f"  {name}: {', '.join(most)}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--picture", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pictures, out = Path(folder) / "pictures", Path(folder) / "out"
        pictures.mkdir()
        streets = {name: render_scene(seed, SIZE) for name, (seed, _) in CASES.items()}
        for name, street in streets.items():
            cv2.imwrite(str(pictures / f"{name}.png"), CASES[name][1](*street))
        command = [sys.executable, "-m", "edgeseg", "predict", arguments.run, pictures, "--out", out]
        subprocess.run([str(part) for part in command], check=True)
        names = [each["name"] for each in json.loads((out / "classes.json").read_text())["classes"]]
        for name, (_, drawn) in streets.items():
            predicted = np.asarray(cv2.imread(str(out / "masks" / f"{name}.png"), cv2.IMREAD_UNCHANGED), np.uint8)
            print("\n".join([name, *became(drawn, predicted, names)]))
        cv2.imwrite(
            str(arguments.picture), np.asarray(cv2.imread(str(out / "contact.png"))), [cv2.IMWRITE_JPEG_QUALITY, 85]
        )


if __name__ == "__main__":
    main()
