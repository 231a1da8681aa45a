"""From the start of a Python process to the first mask: `edgeseg.load` against the bare engine session, in turns.

    python benchmarks/cold_start.py [MODEL.onnx] [--rounds N]

CPU time of each process (user and system), which other work on the machine disturbs least, and wall time.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from edgeseg.runtime.engines.model_file import BUNDLED_MODEL

BARE = """
import numpy, onnxruntime
session = onnxruntime.InferenceSession({model!r}, providers=["CPUExecutionProvider"])
taken = session.get_inputs()[0]
session.run(None, {{taken.name: numpy.zeros(taken.shape, "uint8")}})
"""
OURS = """
import edgeseg, numpy
with edgeseg.load({model!r}, backend="onnxruntime-cpu") as net:
    net(numpy.zeros((*net.frame_size, 3), "uint8"))
"""


def seconds_of(script: str) -> tuple[float, float]:
    """Return CPU and wall seconds of a Python process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", script], check=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path, default=BUNDLED_MODEL, help="a camera graph")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    scripts = {name: each.format(model=str(arguments.model)) for name, each in (("bare", BARE), ("edgeseg", OURS))}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in scripts}
    for script in scripts.values():
        seconds_of(script)  # the files are in memory from now on
    for _ in range(arguments.rounds):
        for name, script in scripts.items():
            taken[name].append(seconds_of(script))
    medians = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in taken.items()}
    for name, (cpu, wall) in medians.items():
        print(f"{name:<8} {cpu:.3f} s of CPU, {wall:.3f} s of wall time (median of {arguments.rounds})")
    ratios = [ours / bare for ours, bare in zip(medians["edgeseg"], medians["bare"], strict=True)]
    print(f"edgeseg.load takes {ratios[0]:.2f} times the CPU time and {ratios[1]:.2f} times the wall time")


if __name__ == "__main__":
    main()
