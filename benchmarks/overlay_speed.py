"""The overlay of a 576x160 class map on a 1280x720 picture, on one core, against the same blend written with NumPy.

    python benchmarks/overlay_speed.py [--rounds 60]

The ways take turns; each ratio is the median over rounds. `two passes` enlarges a full frame of colours and blends it
into a copy of the picture, as OpenCV users commonly do; all give the same pixels within one grey level.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np

from edgeseg.core.geometry import Size, place
from edgeseg.core.labels import ClassMap
from edgeseg.drawing.captions import Captions
from edgeseg.drawing.overlay import Picture, colourise, overlay

PICTURE, NETWORK, OPACITY = Size(720, 1280), Size(160, 576), 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    ms = measure(parser.parse_args().rounds)
    print(f"{'':<26}{'ms median':>10}{'min':>8}{'of the NumPy blend':>20}")
    for name, times in ms.items():
        ratio = statistics.median(a / b for a, b in zip(times, ms["NumPy blend"], strict=True))
        print(f"{name:<26}{statistics.median(times):10.2f}{min(times):8.2f}{ratio:19.1%}")


def measure(rounds: int) -> dict[str, list[float]]:
    """Return the times of each way in ms, a round each."""
    cv2.setNumThreads(1)
    picture, class_map, classes = scene()
    placement, buffer = place(PICTURE, NETWORK), np.empty_like(picture)
    captions = Captions(classes, PICTURE)
    ways: dict[str, Callable[[], Picture]] = {
        "NumPy blend": lambda: numpy_blend(picture, class_map, classes),
        "two passes": lambda: two_passes(picture, class_map, classes),
        "overlay": lambda: overlay(picture, class_map, placement, classes, OPACITY),
        "overlay, out=": lambda: overlay(picture, class_map, placement, classes, OPACITY, buffer),
        "overlay, out=, captions": lambda: captions.write(
            overlay(picture, class_map, placement, classes, OPACITY, buffer), "29.9 fps  12.3 ms"
        ),
    }
    for name in list(ways)[:4]:
        difference = np.abs(ways[name]().astype(int) - ways["NumPy blend"]()).max()
        assert difference <= 1, f"{name} differs by {difference}"
    ms: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            ms[name].append((time.perf_counter() - start) * 1e3)
    return ms


def scene() -> tuple[Picture, Picture, ClassMap]:
    random = np.random.default_rng(0)
    picture = random.integers(0, 256, (*PICTURE, 3), dtype=np.uint8)
    class_map = np.kron(random.integers(0, 12, (20, 72), dtype=np.uint8), np.ones((8, 8), np.uint8))
    classes = ClassMap(tuple(f"class {i}" for i in range(12)), tuple((i * 20, 255 - i * 20, i * 7) for i in range(12)))
    return picture, class_map, classes


def two_passes(picture: Picture, class_map: Picture, classes: ClassMap) -> Picture:
    blended: Picture = picture.copy()
    size = (PICTURE.width, PICTURE.height)
    colours = cv2.resize(colourise(class_map, classes), size, interpolation=cv2.INTER_NEAREST_EXACT)
    cv2.addWeighted(blended, 1 - OPACITY, colours, OPACITY, 0.0, dst=blended)
    return blended


def numpy_blend(picture: Picture, class_map: Picture, classes: ClassMap) -> Picture:
    size = (PICTURE.width, PICTURE.height)
    enlarged = np.asarray(cv2.resize(class_map, size, interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
    mixed = picture * np.float32(1 - OPACITY) + colourise(enlarged, classes) * np.float32(OPACITY)
    blended: Picture = np.rint(mixed).astype(np.uint8)
    return blended


if __name__ == "__main__":
    main()
