"""What --report road adds to a frame at 576x160 with 11 classes, on one core, beside bincount of the mask in NumPy.

    python benchmarks/road_report.py [--rounds 200]

The ways take turns; each ratio is the median over rounds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.road import RoadReport
from edgeseg.runtime.road_settings import RoadSettings

NETWORK, CAMERA = Size(160, 576), Size(720, 1280)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    cv2.setNumThreads(1)
    spec = described()
    random = np.random.default_rng(0)
    masks = [np.kron(random.integers(0, 11, (20, 72), np.uint8), np.ones((8, 8), np.uint8)) for _ in range(8)]
    ways: dict[str, Callable[[int], object]] = {"bincount": lambda i: np.bincount(masks[i % 8].ravel(), minlength=256)}
    for smooth in (1, 3, 5, 9):
        report = RoadReport(RoadSettings(smooth=smooth), spec, CAMERA, CAMERA)
        name = f"road, smooth {smooth}" if smooth > 1 else "road"
        ways[name] = partial(added, report, masks)
    ms: dict[str, list[float]] = {name: [] for name in ways}
    for index in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way(index)
            ms[name].append((time.perf_counter() - start) * 1e3)
    print(f"{'':<16}{'ms median':>10}{'min':>8}{'of bincount':>13}")
    for name, times in ms.items():
        ratio = statistics.median(a / b for a, b in zip(times, ms["bincount"], strict=True))
        print(f"{name:<16}{statistics.median(times):10.3f}{min(times):8.3f}{ratio:12.2f}x")


def added(report: RoadReport, masks: list[NDArray[np.uint8]], index: int) -> object:
    return report.add(masks[index % 8], index * 0.03)


def described() -> ModelSpec:
    classes = ClassMap(("road", *(f"class {i}" for i in range(10))), ((0, 0, 0),) * 11)
    ones = (1.0, 1.0, 1.0)
    return ModelSpec("benchmark", "foreign", "none", NETWORK, "bgr", ones, ones, classes)


if __name__ == "__main__":
    main()
