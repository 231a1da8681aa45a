"""Does the plausibility watch alarm on drawn drives whose light changes, that wipers cross, and that are cut?

    python benchmarks/damage/clean_drives.py [--drawn 1000] [--courses 30] [--seed 100]

Frames of the drawn drives (320x180, 30 a second, several drives) are shown again and again, each time under another
course of light, wipers and noise: an exposure step by up to 40 % either way, a tunnel entered within a second and left
within half of one, a wiper's arm across the picture in a third of a second. Every alarm but the first frame behind a
cut counts. Each frame stands alone, as those of an MJPEG or raw camera.
"""

from __future__ import annotations

import argparse
from collections import Counter

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Size
from edgeseg.runtime.capture.plausibility import PlausibilityWatch
from edgeseg.scenes import Drive

Frame = NDArray[np.uint8]
SIZE = Size(180, 320)
FPS = 30
SCENE_FRAMES = 200  # from one cut to the next
EVENTS = ("exposure", "tunnel", "wiper", "none")


def drawn(count: int, seed: int) -> list[list[Frame]]:
    """Draw scenes of SCENE_FRAMES, each of another drive."""
    scenes = []
    for scene in range(count // SCENE_FRAMES):
        drive = Drive(seed + scene, SIZE, fps=float(FPS))
        scenes.append([drive.frame(index)[0] for index in range(SCENE_FRAMES)])
    return scenes


def gains(event: str, draw: np.random.Generator) -> NDArray[np.float64]:
    """Return by how much each frame of a scene is lit."""
    lit = np.ones(SCENE_FRAMES)
    at = int(draw.integers(40, 100))
    if event == "exposure":
        lit[at:] = 1 + draw.uniform(0.1, 0.4) * draw.choice([-1, 1])
    if event == "tunnel":
        leaves = at + int(draw.integers(40, 60))
        lit[at : at + FPS] = np.linspace(1, 0.3, FPS)
        lit[at + FPS : leaves] = 0.3
        lit[leaves : leaves + FPS // 2] = np.linspace(0.3, 1, FPS // 2)
    return lit


def wiped(frame: Frame, position: float) -> Frame:
    """Draw a wiper's arm, which turns about a point below the picture; 0 is left, 1 right."""
    angle = np.pi * (0.1 + 0.8 * position)
    foot = (SIZE.width // 2, SIZE.height + 20)
    end = (int(foot[0] - 260 * np.cos(angle)), int(foot[1] - 260 * np.sin(angle)))
    return np.asarray(cv2.line(frame.copy(), foot, end, (12, 12, 12), 5), np.uint8)


def course(scene: list[Frame], event: str, draw: np.random.Generator) -> list[Frame]:
    frames = []
    period = int(draw.integers(30, 60))
    for index, (frame, lit) in enumerate(zip(scene, gains(event, draw), strict=True)):
        picture = np.asarray(cv2.convertScaleAbs(frame, alpha=float(lit)), np.uint8)
        if event == "wiper" and index > 20 and index % period < FPS // 3:
            picture = wiped(picture, index % period / (FPS // 3))
        frames.append(np.asarray(cv2.add(picture, draw.integers(0, 5, picture.shape, np.uint8)), np.uint8))
    return frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drawn", type=int, default=1000)
    parser.add_argument("--courses", type=int, default=30)
    parser.add_argument("--seed", type=int, default=100)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    scenes, draw = drawn(arguments.drawn, arguments.seed), np.random.default_rng(arguments.seed)
    watch, shown, cuts = PlausibilityWatch(), 0, Counter[str]()
    alarms: Counter[str] = Counter()
    for _ in range(arguments.courses):
        for scene in scenes:
            event = str(draw.choice(EVENTS))
            for index, frame in enumerate(course(scene, event, draw)):
                if watch.is_implausible(frame, True, False, shown / FPS):
                    (cuts if index == 0 and shown else alarms)[event] += 1
                shown += 1
    print(f"{shown} frames, {shown // SCENE_FRAMES - 1} cuts, of which {cuts.total()} cost a frame")
    print(f"other alarms: {alarms.total()}, by what went on: {dict(alarms)}")


if __name__ == "__main__":
    main()
