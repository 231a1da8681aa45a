"""Do masks of damaged pictures pass as `ok`, before and with the plausibility watch?

    pip install av    # PyAV; its wheel holds x264, which is GPL
    python benchmarks/damage/damage.py MODEL VIDEO[*CLIPS]... [--trials 3] [--seed 0] [--coding NAME] [--fault BITS]

Clips of the videos (`drive:SEED` is drawn) are coded, damaged, decoded and watched as edgeseg-camera does it. A picture
counts as damaged if any pixel of it differs from the undamaged clip's, and as missed if besides its mask differs in
more than 5 % of its pixels and its status is `ok`. `before` is what the decoders say alone. Pictures that are left out
are damaged and not missed; of those with less than 0.5 % of pixels off by more than 8 levels no mask is made. The
thresholds were tuned on project_video_cut.mp4, test_video.mp4 and drive:1.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

import cv2
import numpy as np
from bit_faults import FAULTS, damaged_pictures, damaged_stream
from coded_clips import CODINGS, GROUP, Coding, Frame, Packet, clips_of, encode, packets_of
from watched import watched

from edgeseg.runtime.engines.base import Engine
from edgeseg.runtime.engines.choose import load_engine
from edgeseg.runtime.engines.settings import EngineSettings
from edgeseg.runtime.sources.corruption import DecoderLog
from edgeseg.runtime.timing import segment

MISSED_SHARE = 0.05
NOISE_LEVELS, LEAST_SHARE = 8, 0.005


@dataclass
class Count:
    """Pictures of one coding and one fault.

    Attributes:
        damaged: that differ from the undamaged ones, or did not come.
        missed_before, missed: of these, with status `ok` and a mask that differs in more than 5 %.
        stale_good: undamaged ones whose mask is stale.
    """

    damaged: int = 0
    missed_before: int = 0
    missed: int = 0
    stale_good: int = 0


class Clip:
    """A clip as it should be, with the masks that are asked for."""

    def __init__(self, frames: list[Frame], coding: Coding, engine: Engine, folder: Path, is_http: bool) -> None:
        self.path = folder / f"clip{coding.suffix}"
        encode(frames, coding, self.path)
        self.packets: list[Packet] = packets_of(self.path)
        self._engine = engine
        seen = list(watched(self.packets, self.path, folder, is_http))
        self.pictures = {each.position: each.picture for each in seen}
        self.alarms = [each.position for each in seen if each.reasons]
        self._masks: dict[int, Frame] = {}

    def mask_differs(self, index: int, picture: Frame) -> bool:
        if np.mean(cv2.absdiff(picture, self.pictures[index]).max(axis=2) > NOISE_LEVELS) < LEAST_SHARE:
            return False
        if index not in self._masks:
            self._masks[index] = segment(self.pictures[index], self._engine)[0].class_map.copy()
        return bool((segment(picture, self._engine)[0].class_map != self._masks[index]).mean() > MISSED_SHARE)


def measure(clip: Clip, packets: list[Packet], folder: Path, is_http: bool, count: Count) -> None:
    """Add what became of one damaged copy of a clip."""
    missing = set(clip.pictures)
    for index, picture, reasons in watched(packets, clip.path, folder, is_http):
        missing.discard(index)
        is_damaged = not np.array_equal(picture, clip.pictures[index])
        count.damaged += is_damaged
        count.stale_good += bool(reasons) and not is_damaged
        if is_damaged and not set(reasons) - {"implausible"} and clip.mask_differs(index, picture):
            count.missed_before += 1
            count.missed += not reasons
    count.damaged += len(missing)


def clips(videos: list[str]) -> Iterator[list[Frame]]:
    for video in videos:
        name, _, number = video.partition("*")
        yield from clips_of(name, int(number or 1))


def run(arguments: argparse.Namespace, name: str, engine: Engine, out: TextIO) -> dict[str, Count]:
    coding, is_http, is_jpeg = CODINGS[name], name.endswith("http"), name.startswith("MJPEG")
    counts = {fault: Count() for fault in arguments.fault or FAULTS}
    draw = np.random.default_rng(arguments.seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for frames in clips(arguments.videos):
            clip = Clip(frames, coding, engine, folder, is_http)
            if clip.alarms:
                print(f"  {name}: undamaged frames with an alarm: {clip.alarms}", file=out, flush=True)
            for fault, count in counts.items():
                for _ in range(arguments.trials):
                    damage = damaged_pictures if is_jpeg else damaged_stream
                    measure(clip, damage(clip.packets, fault, draw), folder, is_http, count)
    return counts


def show(name: str, counts: dict[str, Count], out: TextIO) -> None:
    for fault, count in counts.items():
        shares = [each / max(1, count.damaged) for each in (count.missed_before, count.missed)]
        print(
            f"{name:<13}{fault:>5} {count.damaged:>6} damaged  missed before {shares[0]:7.2%}  now {shares[1]:7.2%}  "
            f"good ones stale {count.stale_good}",
            file=out,
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("videos", nargs="+", metavar="VIDEO[*CLIPS]")
    parser.add_argument("--trials", type=int, default=3, help="of each clip, coding and fault")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--coding", choices=CODINGS, action="append")
    parser.add_argument("--fault", choices=FAULTS, action="append")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    out = os.fdopen(os.dup(1), "w")
    DecoderLog()  # takes standard output, where FFmpeg complains, and has to come before OpenCV opens anything
    cv2.setNumThreads(1)
    result = {}
    with load_engine(arguments.model, EngineSettings(threads=1), lambda text: print(text, file=sys.stderr)) as engine:
        for name in arguments.coding or CODINGS:
            counts = run(arguments, name, engine, out)
            show(name, counts, out)
            result[name] = {fault: asdict(count) for fault, count in counts.items()}
    if arguments.json:
        document = {"model": engine.spec.name, "videos": arguments.videos, "group": GROUP, "counts": result}
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
