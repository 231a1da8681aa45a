"""Time exported files of different precision against each other: one thread, interleaved, on ONNX Runtime's CPU.

    for p in fp32 fp16 int8; do edgeseg export RUN --onnx $p.onnx --precision $p --report $p.json; done
    python benchmarks/precisions.py fp32.onnx fp16.onnx int8.onnx

Prints size and CPU ms/frame (the median; one thread, so that neighbours on the machine count little) of each, and the
first one's time as a multiple of it.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import numpy as np

from edgeseg.runtime.engines import open_engine

ROUNDS = 40


def main() -> None:
    files = [Path(name) for name in sys.argv[1:]]
    engines = [open_engine(path, "onnxruntime-cpu", threads=1) for path in files]
    random = np.random.default_rng(0)
    frames = [random.integers(0, 256, (*engine.frame_size, 3), np.uint8) for engine in engines]
    for engine in engines:
        engine.warm_up(3)
    times: list[list[float]] = [[] for _ in engines]
    for _ in range(ROUNDS):
        for engine, frame, taken in zip(engines, frames, times, strict=True):
            start = time.thread_time()
            engine.run(frame)
            taken.append((time.thread_time() - start) * 1e3)
    first = statistics.median(times[0])
    print(engines[0].device)
    for path, taken in zip(files, times, strict=True):
        median = statistics.median(taken)
        print(f"{path.name:<20} {path.stat().st_size / 1e6:6.1f} MB {median:7.1f} CPU ms/frame  {first / median:.2f}x")


if __name__ == "__main__":
    main()
