"""Exported files of different precision against each other: one thread, interleaved, on ONNX Runtime's CPU.

    for p in fp32 fp16 int8; do
        edgeseg export RUN --onnx $p.onnx --precision $p --report $p.json --check-frames 101
    done
    edgeseg export RUN --onnx int8-cpu.onnx --precision int8 --int8-form cpu --report int8-cpu.json --check-frames 101
    python benchmarks/precisions.py fp32.onnx fp16.onnx int8.onnx int8-cpu.onnx

Prints a Markdown table: size, engine, equal pixels and mean IoU from the report beside each file, CPU ms/frame (the
median; one thread, so that neighbours on the machine count little), and the first one's time as a multiple of it.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from edgeseg.runtime.engines.choose import open_engine

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
    print(f"On {engines[0].device}, one thread:\n")
    print("| file | size | engine | equal pixels | mean IoU (the model's) | CPU ms/frame | |\n" + "|---" * 7 + "|")
    for path, taken in zip(files, times, strict=True):
        median = statistics.median(taken)
        size = f"{path.stat().st_size / 1e6:.1f} MB"
        print(f"| {path.stem} | {size} | {reported(path)} | {median:.1f} | {first / median:.2f}x |")


def reported(path: Path) -> str:
    """Three cells from the report beside a file."""
    report = path.with_suffix(".json")
    if not report.is_file():
        return "? | ? | ?"
    document = json.loads(report.read_text())
    parity, engine = document["parity"], document["tensorrt"]["engine_bytes"]
    scores = "-" if parity["miou_model"] is None else f"{parity['miou_file']:.4f} ({parity['miou_model']:.4f})"
    return f"{f'{engine / 1e6:.1f} MB' if engine else 'none'} | {parity['equal_pixels']:.3%} | {scores}"


if __name__ == "__main__":
    main()
