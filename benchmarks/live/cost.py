"""What the live page costs the camera loop: without viewers, and with one that draws nothing, in a process of its own.

    python benchmarks/live/cost.py [--rounds 7] [--frames 150]

The bare engine, the loop, the loop with a page and the loop with a viewer take turns in this process, on drawn scenes
and one engine thread. Ratios are medians over rounds: of masks a second, and of the processor time that the loop's own
thread takes for a mask.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgeseg.runtime.engines.choose import load_engine
from edgeseg.runtime.engines.settings import EngineSettings
from edgeseg.runtime.loop import run
from edgeseg.runtime.measure.benchmark import looped
from edgeseg.runtime.settings import LoopSettings
from edgeseg.runtime.sources.addresses import parse_source
from tests.helpers.live.page import free_port

MODEL = Path("runtime/bundled/scenes.onnx")
SOURCE = "scenes://?size=1280x720"
_SCENES = 6  # drawn before each run
_VIEWER = """
import sys, time
from tests.helpers.live.page import PlainViewer
for _ in range(600):
    try:
        with PlainViewer(sys.argv[1]) as viewer:
            while True:
                viewer.acknowledge(viewer.take("frame", 60))
    except Exception:  # not there yet, or over
        time.sleep(0.05)
"""


class Pace(NamedTuple):
    """Masks a second, and the ms that the processor worked for one on the loop's thread."""

    rate: float
    cpu_ms: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--frames", type=int, default=150)
    options = parser.parse_args()
    page = f"http://127.0.0.1:{free_port()}"
    watched = f"http://127.0.0.1:{free_port()}"
    viewer = subprocess.Popen([sys.executable, "-c", _VIEWER, watched])
    ways: dict[str, Callable[[], Pace]] = {
        "bare engine": partial(bare, options.frames),
        "loop": partial(loop, options.frames, ()),
        "loop and page": partial(loop, options.frames, (page,)),
        "loop, page and viewer": partial(loop, options.frames, (watched,)),
    }
    try:
        rounds = [{name: way() for name, way in ways.items()} for _ in range(options.rounds)]
    finally:
        viewer.kill()
        viewer.wait()
    print(f"{'':<22}  masks/s   beside bare  beside loop   CPU a mask beside loop")
    for name in ways:
        rate = statistics.median(each[name].rate for each in rounds)
        ratios = [statistics.median(each[name].rate / each[base].rate for each in rounds) for base in list(ways)[:2]]
        cpu = statistics.median(each[name].cpu_ms / each["loop"].cpu_ms for each in rounds)
        print(f"{name:<22}  {rate:7.1f}   {ratios[0]:11.3f}  {ratios[1]:11.3f}   {cpu:22.3f}")


def bare(frames: int) -> Pace:
    """Time the engine alone, on one picture."""
    with load_engine(MODEL, EngineSettings(backend="onnxruntime-cpu", threads=1)) as engine:
        picture = np.random.default_rng(0).integers(0, 256, (*engine.frame_size, 3), np.uint8)
        engine.warm_up(3)
        start, cpu = time.monotonic(), time.thread_time()
        for _ in range(frames):
            engine.submit(picture)
            engine.collect()
        return Pace(frames / (time.monotonic() - start), (time.thread_time() - cpu) / frames * 1e3)


def loop(frames: int, outputs: tuple[str, ...]) -> Pace:
    """Time the camera loop, every frame, as fast as it goes."""
    marks: list[tuple[int, float, float]] = []

    def watch(ledger: object, seconds: float) -> None:
        marks.append((len(marks), time.monotonic(), time.thread_time()))

    settings = LoopSettings(every_frame=True, frames=frames, outputs=outputs)
    engine = EngineSettings(backend="onnxruntime-cpu", threads=1)
    source = replace(looped(parse_source(SOURCE), None), keep=_SCENES)
    run(source, lambda: load_engine(MODEL, engine), settings, threading.Event(), watch=watch)
    kept = marks[frames // 5 :]  # by then the viewer is there
    (first, start, cpu), (last, end, cpu_end) = kept[0], kept[-1]
    return Pace((last - first) / (end - start), (cpu_end - cpu) / (last - first) * 1e3)


if __name__ == "__main__":
    main()
