"""Memory of `edgeseg train` after each of many short epochs, with all that an epoch's end does. It must not grow.

    python benchmarks/training_memory.py [--epochs 25] [-- further options of edgeseg train]

The command runs as its user runs it; its resident memory is read from outside whenever history.csv has a new line.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SMALL = (
    "--data",
    "scenes:train=32,val=8,test=1,size=256x128",
    "--size",
    "256x128",
    "--encoder",
    "compact",
    "--validate-every",
    "1",
)
SETTLED = 5  # epochs after which caches are filled and every graph is built


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("options", nargs="*")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        memory = watched(Path(folder) / "run", ["--epochs", str(arguments.epochs), *SMALL, *arguments.options])
    print("resident memory after each epoch, MiB:", *(f"{each:.0f}" for each in memory))
    settled = memory[SETTLED:]
    print(f"from epoch {SETTLED + 1} to {len(memory)}: {settled[-1] - settled[0]:+.1f} MiB")


def watched(run: Path, options: list[str]) -> list[float]:
    """Train; return the resident memory in MiB after each epoch."""
    command = [sys.executable, "-m", "edgeseg", "train", "--out", str(run), *options]
    memory: list[float] = []
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            lines = (run / "history.csv").read_text().count("\n") if (run / "history.csv").exists() else 0
            if lines - 1 > len(memory):
                memory.append(resident_mib(process.pid))
            time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"edgeseg train ended with {process.returncode}")
    return memory


def resident_mib(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * 4096 / 2**20


if __name__ == "__main__":
    main()
