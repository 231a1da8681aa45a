"""edgeseg beside what one would otherwise write or take: the same models on the same video, whole loops, interleaved.

    pip install -e '.[peers,cpu]'
    edgeseg train --data camvid:CamVid --model fcn8 --encoder compact --size 480x352 ... --out fcn8
    edgeseg train --data camvid:CamVid --model unet ... --out unet
    python benchmarks/peers.py fcn8 unet --video drive.mp4 --page docs/benchmarks.md

Each peer is a process of its own (benchmarks/peer_loops.py), loaded before; they take turns of some seconds, so that a
machine that drifts harms all alike. A frame is: read by OpenCV, prepare, infer, argmax. Ratios are taken within a round
and their median shown, with the lowest and highest. Masks are compared with those of Keras in float32, on frames from
the whole video. With --page the part of a page between its two marks is written anew, and the picture beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import astuple, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from peer_loops import FLOAT_ONLY, PEERS
from peer_models import Files, made
from peers_page import write_page

from edgeseg.runtime.machine.load import LoadMeter
from edgeseg.runtime.measure.environment import environment

REFERENCE = "Keras predict"
COMPARED_FRAMES = 16
SETTLE_S = 0.3  # threads of the one before spin for a while


@dataclass
class Row:
    """A peer with one model: its turns, and the share of pixels that are Keras's; or why there is nothing."""

    ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    peak_mib: float = 0.0
    equal: float | None = None
    error: str = ""


class PeerProcess:
    """A peer, loaded and waiting. A context manager."""

    def __init__(self, name: str, files: Files, video: Path) -> None:
        paths = [str(each) for each in astuple(files)]
        command = [sys.executable, str(Path(__file__).with_name("peer_loops.py")), name, str(video), *paths]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
        self.error = self._hear().get("error", "")

    def ask(self, **asked: Any) -> dict[str, Any]:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return self._hear()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": f"ended with code {self._process.wait()}"}
        return answer

    def __enter__(self) -> PeerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="run directories of edgeseg train")
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each turn")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "edgeseg-peers")
    parser.add_argument("--prepare", action="store_true", help="make the files, and measure nothing")
    parser.add_argument("--page", type=Path, help="page whose table and picture are made anew")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    size = video_size(arguments.video)
    wanted = [(run, precision) for run in arguments.runs for precision in ("fp32", "int8")]
    files = {(run, precision): made(run, precision, size, arguments.work) for run, precision in wanted}
    if arguments.prepare:
        return
    meter, start, groups = LoadMeter(), time.monotonic(), []
    for (_, precision), each in files.items():
        rows = measured(each, precision, arguments.video, arguments.rounds, arguments.seconds, arguments.work)
        spec = each.spec
        groups.append(
            {
                "model": f"{spec.architecture} ({spec.encoder}), {spec.input_size}, {len(spec.classes)} classes",
                "precision": precision,
                "rows": {name: row.__dict__ for name, row in rows.items()},
            }
        )
        show(groups[-1])
    document = {
        "groups": groups,
        "others": meter.read(time.monotonic() - start, 1).others,
        "camera": size,
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
        "environment": environment(),
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    if arguments.page:
        write_page(arguments.page, document)


def video_size(video: Path) -> str:
    capture = cv2.VideoCapture(str(video))
    width, height = (int(capture.get(each)) for each in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    return f"{width}x{height}"


def measured(files: Files, precision: str, video: Path, rounds: int, seconds: float, work: Path) -> dict[str, Row]:
    """Return each peer's row; the reference's masks are made where it takes no part in the turns, too."""
    names = [name for name in PEERS if precision == "fp32" or name not in FLOAT_ONLY]
    rows = {name: Row() for name in names}
    wanted = masks_of(REFERENCE, files, video, work)
    running: dict[str, PeerProcess] = {}
    try:
        for name in names:
            running[name] = PeerProcess(name, files, video)
            rows[name].error = running[name].error
            if not rows[name].error:
                rows[name].equal = float(np.mean(masks(running[name], work) == wanted))
        for _ in range(rounds):
            for name, row in rows.items():
                if not row.error:
                    time.sleep(SETTLE_S)
                    take_turn(running[name], row, seconds)
    finally:
        for process in running.values():
            process.__exit__(None, None, None)
    return rows


def take_turn(process: PeerProcess, row: Row, seconds: float) -> None:
    turn = process.ask(seconds=seconds)
    row.error = turn.get("error", "")
    if not row.error:
        row.ms.append(turn["seconds"] / turn["frames"] * 1e3)
        row.cpu_ms.append(turn["cpu_seconds"] / turn["frames"] * 1e3)
        row.peak_mib = max(row.peak_mib, turn["peak_mib"])


def masks_of(name: str, files: Files, video: Path, work: Path) -> Any:
    with PeerProcess(name, files, video) as process:
        if process.error:
            sys.exit(f"{name}, the reference for masks: {process.error}")
        return masks(process, work)


def masks(process: PeerProcess, work: Path) -> Any:
    path = work / f"masks-{os.getpid()}.npy"
    process.ask(masks=str(path), count=COMPARED_FRAMES)
    found = np.load(path)
    path.unlink()
    return found


def show(group: dict[str, Any]) -> None:
    print(f"\n{group['model']}, {group['precision']}")
    for name, row in group["rows"].items():
        figures = row["error"] or f"{np.median(row['ms']):8.1f} ms a frame, {row['equal']:.3%} of the pixels Keras's"
        print(f"  {name:<26}{figures}", flush=True)


if __name__ == "__main__":
    main()
