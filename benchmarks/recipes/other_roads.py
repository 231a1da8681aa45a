"""Road, sky and vehicles on roads that no training has seen: IoU against masks that were drawn by hand.

    python benchmarks/recipes/other_roads.py NAME=RUN... --videos FOLDER [--overlays FOLDER] [--json FILE]

Twelve frames of four dashcam videos, American highways by day and a country road at night, each drawn by two hands that
did not see each other's work (`other_roads/a`, `other_roads/b`: 0 road, 1 sky, 2 vehicle, 3 surely none of these, 255
not said: soft edges, see-through trees, the own bonnet, the black of the night). What both say counts, the rest has no
influence; how far the hands differ is printed first. The pictures are not in the repository: FOLDER holds the videos.

A model's classes count by their names: Road, Sky and Car (or another vehicle); all others are none of these. Runs of
the same name are seeds. This is a report, not a goal: nothing is tuned on it.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.drawing.overlay import overlay
from edgeseg.evaluation.evaluate import predicted_class_map
from edgeseg.evaluation.predictors import load_predictor

Mask = NDArray[np.uint8]
MASKS = Path(__file__).parent / "other_roads"
THINGS = ("road", "sky", "vehicle")
NONE_OF_THESE, NOT_SAID = 3, 255
NAMES = {"road": 0, "sky": 1, "car": 2, "truck": 2, "bus": 2, "vehicle": 2, "motorcycle": 2}
NIGHT = "me_1866x638"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", metavar="NAME=RUN")
    parser.add_argument("--videos", type=Path, required=True)
    parser.add_argument("--overlays", type=Path, help="folder for pictures of what each run makes of the frames")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    hands = {path.stem: [drawn(hand, path.name) for hand in "ab"] for path in MASKS.glob("a/*.png")}
    frames = {stem: frame_of(arguments.videos, stem) for stem in sorted(hands)}
    print(agreement(list(hands.values())))
    truths = {stem: np.where(one == other, one, NOT_SAID).astype(np.uint8) for stem, (one, other) in hands.items()}
    found: dict[str, list[dict[str, float]]] = {}
    for name, run in (each.split("=", 1) for each in arguments.runs):
        found.setdefault(name, []).append(scored(Path(run), frames, truths, arguments.overlays))
    print("\n".join(table(found)))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


def drawn(hand: str, name: str) -> Mask:
    return np.asarray(cv2.imread(str(MASKS / hand / name), cv2.IMREAD_UNCHANGED), np.uint8)


def frame_of(videos: Path, stem: str) -> Mask:
    video, _, index = stem.rpartition("_")
    capture = cv2.VideoCapture(str(videos / f"{video}.mp4"))
    for _ in range(int(index) + 1):  # a seek lands elsewhere in some of them
        there, frame = capture.read()
        if not there:
            raise SystemExit(f"{videos / video}.mp4: no frame {index}; expected the dashcam videos of the masks")
    return np.asarray(frame, np.uint8)


def agreement(pairs: list[list[Mask]]) -> str:
    """Say how alike the hands are: where both say something, and where one of them does."""
    parts = []
    for thing, name in enumerate(THINGS):
        ours, theirs = ([mask == thing for mask in hand] for hand in zip(*pairs, strict=True))
        said = [(one != NOT_SAID) & (other != NOT_SAID) for one, other in pairs]
        everywhere = iou(ours, theirs, [np.ones_like(each) for each in said])
        parts.append(f"{name} {iou(ours, theirs, said):.4f} ({everywhere:.4f})")
    share = sum(int(((a != NOT_SAID) & (b != NOT_SAID)).sum()) for a, b in pairs) / sum(a.size for a, _ in pairs)
    where = f"where both say something, {share:.0%} of the pixels (and where either does)"
    return f"The hands' IoU {where}: {', '.join(parts)}."


def iou(ours: list[Mask], theirs: list[Mask], where: list[Mask]) -> float:
    both = sum(int((a & b & w).sum()) for a, b, w in zip(ours, theirs, where, strict=True))
    either = sum(int(((a | b) & w).sum()) for a, b, w in zip(ours, theirs, where, strict=True))
    return both / max(1, either)


def scored(run: Path, frames: dict[str, Mask], truths: dict[str, Mask], overlays: Path | None) -> dict[str, float]:
    """Return the IoU of each thing: by day, and of the road at night, where little else is said."""
    predicted = {}
    with load_predictor(run) as predictor:
        classes = predictor.spec.classes
        things = things_of(classes)
        for stem, frame in frames.items():
            size = Size(*frame.shape[:2])
            class_map = predictor.predict([frame])[0]
            predicted[stem] = things[predicted_class_map(predictor, size, class_map)]
            if overlays:
                overlays.mkdir(parents=True, exist_ok=True)
                picture = overlay(frame, class_map, predictor.placement(size), classes)
                cv2.imwrite(str(overlays / f"{run.name}-{stem}.jpg"), picture)
    day = [stem for stem in frames if not stem.startswith(NIGHT)]
    night = [stem for stem in frames if stem.startswith(NIGHT)]
    scores = {name: thing_iou(predicted, truths, day, thing) for thing, name in enumerate(THINGS)}
    return {**scores, "road at night": thing_iou(predicted, truths, night, 0)}


def thing_iou(predicted: dict[str, Mask], truths: dict[str, Mask], stems: list[str], thing: int) -> float:
    ours, theirs = ([masks[stem] == thing for stem in stems] for masks in (predicted, truths))
    return iou(ours, theirs, [truths[stem] != NOT_SAID for stem in stems])


def things_of(classes: ClassMap) -> Mask:
    """Return a table from class ids to things."""
    things = np.full(256, NONE_OF_THESE, np.uint8)
    for index, name in enumerate(classes.names):
        things[index] = NAMES.get(name.lower(), NONE_OF_THESE)
    return things


def table(found: dict[str, list[dict[str, float]]]) -> list[str]:
    lines = [f"| run | seeds | {' | '.join((*THINGS, 'road at night'))} |", "|---" * 6 + "|"]
    for name, seeds in found.items():
        cells = [spread([seed[thing] for seed in seeds]) for thing in (*THINGS, "road at night")]
        lines.append(f"| {name} | {len(seeds)} | {' | '.join(cells)} |")
    return lines


def spread(values: list[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"


if __name__ == "__main__":
    main()
