"""How long --help takes, how long from start to the first mask, and how much memory the camera's processes hold.

    python benchmarks/start_and_memory.py model.onnx [--source scenes://] [--runs 5]

Memory is each process's proportional set size (shared pages are split between those that share them), read while the
camera runs; the engine's process and the capture process are listed apart.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from edgeseg.runtime.machine.processes import descendants


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--source", default="scenes://")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    for module in ("edgeseg", "edgeseg.runtime"):
        times = [seconds([sys.executable, "-m", module, "--help"]) for _ in range(arguments.runs)]
        print(f"python -m {module} --help: {statistics.median(times):.2f} s (median of {arguments.runs})")
    firsts, memories = zip(*(first_mask(arguments.model, arguments.source) for _ in range(arguments.runs)), strict=True)
    print(f"start to first mask: {statistics.median(firsts):.2f} s (max {max(firsts):.2f})")
    print(f"model file: {arguments.model.stat().st_size / 1e6:.0f} MB")
    for index, name in enumerate(("camera process", "capture process")):
        print(f"{name}: {max(memory[index] for memory in memories):.0f} MB (max of {arguments.runs})")


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def first_mask(model: Path, source: str) -> tuple[float, list[float]]:
    """Seconds from the start to the first line of --stats, and the MB of both processes 2 s later."""
    with tempfile.TemporaryDirectory() as folder:
        masks = Path(folder) / "masks"
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "edgeseg.runtime", source, "--model", str(model), "--quiet", "--output", f"{masks}/"]
        )
        while not (masks.is_dir() and any(masks.iterdir())):
            time.sleep(0.005)
        first = time.perf_counter() - start
        time.sleep(2)
        memory = [megabytes(pid) for pid in (process.pid, *descendants(process.pid))]
        process.terminate()
        process.wait()
    return first, memory


def megabytes(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1e3


if __name__ == "__main__":
    main()
