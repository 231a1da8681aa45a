"""Time the engines of this computer on one model, interleaved, and how far their masks agree.

    python benchmarks/engines.py model.onnx [--frames FOLDER] [--rounds 50] [--threads 1] [--spec FILE]

Every backend that works here takes part. Each is given the same frames in turn; ms/frame is the median of the whole
call as a program sees it, device that of the engine's own events (on the host: the call itself). `of cpu` is the median
over rounds of onnxruntime-cpu's time divided by the engine's, in the same round. `equal` is the share of pixels that
are onnxruntime-cpu's. The lines are Markdown, for benchmarks/results/.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import EdgesegError
from edgeseg.runtime.engines.base import Engine
from edgeseg.runtime.engines.choose import load_engine
from edgeseg.runtime.engines.registry import BACKENDS
from edgeseg.runtime.engines.settings import EngineSettings

REFERENCE = "onnxruntime-cpu"
WARM_UP = 10
FRAMES = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--frames", type=Path, help="pictures; without them noise, whose masks say little")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--spec", type=Path)
    parser.add_argument("--tf32", action="store_true")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        engines = {}
        for backend in [REFERENCE, *(name for name in BACKENDS if name != REFERENCE)]:
            settings = EngineSettings(
                backend=backend, threads=arguments.threads, spec=arguments.spec, tf32=arguments.tf32
            )
            try:
                engines[backend] = stack.enter_context(load_engine(arguments.model, settings))
            except (EdgesegError, ModuleNotFoundError) as error:
                print(f"<!-- {backend}: {error} -->")
        report(engines, pictures(arguments.frames, engines[REFERENCE]), arguments.rounds)


def report(engines: dict[str, Engine], frames: list[NDArray[np.uint8]], rounds: int) -> None:
    for engine in engines.values():
        engine.warm_up(WARM_UP)
    wanted = [engines[REFERENCE].run(frame).class_map.copy() for frame in frames]
    equal = {
        name: statistics.mean(
            float(np.mean(engine.run(frame).class_map == mask)) for frame, mask in zip(frames, wanted, strict=True)
        )
        for name, engine in engines.items()
    }
    host: dict[str, list[float]] = {name: [] for name in engines}
    device: dict[str, list[float]] = {name: [] for name in engines}
    for index in range(rounds):
        frame = frames[index % len(frames)]
        for name, engine in engines.items():
            start = time.perf_counter()
            result = engine.run(frame)
            host[name].append((time.perf_counter() - start) * 1e3)
            device[name].append(result.inference_ms)
    print("| engine | device | precision | ms/frame p50 | p99 | device ms p50 | of cpu | equal pixels |")
    print("|---|---|---|---|---|---|---|---|")
    for name, engine in engines.items():
        ratio = statistics.median(a / b for a, b in zip(host[REFERENCE], host[name], strict=True))
        p50, p99 = np.percentile(host[name], [50, 99])
        print(
            f"| {name} | {engine.device} | {engine.spec.precision} | {p50:.2f} | {p99:.2f} | "
            f"{statistics.median(device[name]):.2f} | {ratio:.2f}x | {equal[name]:.3%} |"
        )


def pictures(folder: Path | None, engine: Engine) -> list[NDArray[np.uint8]]:
    height, width = engine.frame_size
    if folder is None:
        random = np.random.default_rng(0)
        return [random.integers(0, 256, (height, width, 3), np.uint8) for _ in range(FRAMES)]
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
    chosen = files[:: max(1, len(files) // FRAMES)][:FRAMES]
    read = [cv2.imread(str(path)) for path in chosen]
    return [np.asarray(cv2.resize(each, (width, height)), np.uint8) for each in read if each is not None]


if __name__ == "__main__":
    main()
