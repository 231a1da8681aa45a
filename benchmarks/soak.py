"""Whether edgeseg-camera, left running, grows: memory, file handles and threads of its two processes, and its latency.

    python benchmarks/soak.py model.onnx drive.mp4 [--minutes 20] [--json FILE] [-- --output masks/ ...]

The video plays in a loop at its own rate, with one inference thread. Once a second /proc is read for both processes;
what they held when the first minute was over is compared with the most they ever held after it. Memory is their
proportional set size without pages of files (shared pages are split between those that share them). What stands behind
`--` goes to edgeseg-camera. Exit code 1: memory grew by 5 MB or more, or file handles or threads grew.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from edgeseg.runtime.environment import environment

SETTLED_S = 60.0
MOST_GROWTH_MB = 5.0


class Sample(NamedTuple):
    """What the processes held `seconds` after the start: memory of each and of both, the rest together."""

    seconds: float
    camera_mb: float
    capture_mb: float
    memory_mb: float
    handles: int
    threads: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("video", type=Path)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("more", nargs="*", metavar="-- OPTION ...", help="of edgeseg-camera")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    samples, summary = soak(arguments.model, arguments.video, arguments.minutes * 60, arguments.more)
    result = {
        "growth": growth(samples),
        "load_before_and_after": [round(load, 2), round(os.getloadavg()[0], 2)],
        "summary": summary,
        "environment": environment(),
        "samples": [sample._asdict() for sample in samples],
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    show(result)
    sys.exit(1 if has_grown(result["growth"]) else 0)


def soak(model: Path, video: Path, seconds: float, more: list[str]) -> tuple[list[Sample], dict[str, Any]]:
    """Run edgeseg-camera for so long; return the samples and its summary."""
    with tempfile.TemporaryDirectory() as folder:
        summary = Path(folder) / "summary.json"
        command = [sys.executable, "-m", "edgeseg.runtime", str(video), "--model", str(model), "--threads", "1"]
        command += ["--loop", "--seconds", str(seconds), "--summary", str(summary), "--quiet", *more]
        process = subprocess.Popen(command)
        try:
            samples = watch(process)
        finally:
            process.terminate()
            process.wait()
        if process.returncode:
            sys.exit(f"edgeseg-camera ended with code {process.returncode}")
        return samples, json.loads(summary.read_text())


def watch(process: subprocess.Popen[bytes]) -> list[Sample]:
    """Take a sample a second until it ends."""
    samples, start = [], time.monotonic()
    while process.poll() is None:
        time.sleep(max(0.0, start + len(samples) + 1 - time.monotonic()))
        if sample := take(process.pid, time.monotonic() - start):
            samples.append(sample)
    return samples


def take(pid: int, seconds: float) -> Sample | None:
    """Read /proc of a process and its children; None once it is ending."""
    try:
        tasks = [str(pid), *children(pid)]
        memory = [round(memory_mb(each), 2) for each in tasks]
        handles = sum(len(os.listdir(f"/proc/{each}/fd")) for each in tasks)
        threads = sum(len(os.listdir(f"/proc/{each}/task")) for each in tasks)
    except (OSError, KeyError):  # KeyError: a process that has no memory any more
        return None
    own = memory[0]
    return Sample(round(seconds, 2), own, round(sum(memory) - own, 2), round(sum(memory), 2), handles, threads)


def children(pid: int) -> list[str]:
    return [child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def memory_mb(pid: str) -> float:
    """Return its anonymous and shared memory, swapped out or not: pages of files come and go as others need room."""
    lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    kibibytes = {name: int(amount) for name, amount, *_ in lines}
    return (kibibytes["Pss_Anon:"] + kibibytes["Pss_Shmem:"] + kibibytes["SwapPss:"]) * 1024 / 1e6


def growth(samples: list[Sample]) -> dict[str, dict[str, float]]:
    """Compare each figure when the first minute was over with the most after it.

    Both are medians over ten seconds, so that a single reading, taken while a file is reopened, counts for nothing.
    """
    later = [sample for sample in samples if sample.seconds >= SETTLED_S]
    if len(later) < 20:
        sys.exit(f"{len(later)} s after the first minute; expected at least 20: give more --minutes")
    windows = [sorted(later[start : start + 10], key=lambda s: s.seconds) for start in range(0, len(later) - 9, 10)]
    figures = {}
    for index, name in enumerate(Sample._fields[1:], start=1):
        medians = [sorted(sample[index] for sample in window)[5] for window in windows]
        figures[name] = {"first": medians[0], "most": max(medians), "grew": round(max(medians) - medians[0], 2)}
    return figures


def has_grown(figures: dict[str, dict[str, float]]) -> bool:
    return figures["memory_mb"]["grew"] >= MOST_GROWTH_MB or any(
        figures[key]["grew"] > 0 for key in ("handles", "threads")
    )


def show(result: dict[str, Any]) -> None:
    summary = result["summary"]
    print(f"{'':<16}{'after 1 min':>12}{'most later':>12}{'grew by':>10}")
    for name, figure in result["growth"].items():
        print(f"{name:<16}{figure['first']:12g}{figure['most']:12g}{figure['grew']:10g}")
    frames, latency = summary["frames"], summary["latency_ms"]["capture_to_mask"]
    print(f"frames: {frames}, {summary['fps']:.2f} masks a second for {summary['seconds']:.0f} s")
    print("capture to mask, ms: " + ", ".join(f"{key} {latency[key]:.2f}" for key in ("p50", "p99", "max")))
    print(f"frames dropped: {frames['skipped'] / frames['captured']:.3%}; source: {summary['source_health']}")
    print(f"load average before and after: {result['load_before_and_after']}; {result['environment']['cores']} cores")


if __name__ == "__main__":
    main()
