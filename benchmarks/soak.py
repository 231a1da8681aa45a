"""Whether edgeseg-camera itself, left running with its outputs, grows: memory, file handles, threads.

    python benchmarks/soak.py model.onnx drive.mp4 [--minutes 20] [--json FILE] [-- --output masks/ ...]

The video plays in a loop at its own rate, with one inference thread. What stands behind `--` goes to edgeseg-camera.
Its processes and the device are watched and judged from outside by what `edgeseg benchmark --soak` uses within; times
are those of its summary. Exit code 1: the verdict is not stable.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from edgeseg.runtime.measure.environment import environment
from edgeseg.runtime.measure.soak import SoakRecorder, Window, window_seconds
from edgeseg.runtime.measure.soak_report import growth_lines
from edgeseg.runtime.measure.soak_verdict import growth, judge


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("video", type=Path)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("more", nargs="*", metavar="-- OPTION ...", help="of edgeseg-camera")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    windows, summary = soak(arguments.model, arguments.video, arguments.minutes * 60, arguments.more)
    result: dict[str, Any] = {
        "verdict": judge(windows).to_dict(),
        "growth": growth(windows),
        "load_before_and_after": [round(load, 2), round(os.getloadavg()[0], 2)],
        "summary": summary,
        "environment": environment(),
        "windows": [window.to_dict() for window in windows],
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")
    show(result)
    sys.exit(0 if result["verdict"]["stable"] else 1)


def soak(model: Path, video: Path, seconds: float, more: list[str]) -> tuple[list[Window], dict[str, Any]]:
    """Run edgeseg-camera for so long; return what was watched and its summary."""
    with tempfile.TemporaryDirectory() as folder:
        summary = Path(folder) / "summary.json"
        command = [sys.executable, "-m", "edgeseg.runtime", str(video), "--model", str(model), "--threads", "1"]
        command += ["--loop", "--seconds", str(seconds), "--summary", str(summary), "--quiet", *more]
        process = subprocess.Popen(command)
        try:
            with SoakRecorder(process.pid, window_seconds(seconds)) as recorder:
                process.wait()
        finally:
            process.terminate()
            process.wait()
        if process.returncode:
            sys.exit(f"edgeseg-camera ended with code {process.returncode}")
        figures: dict[str, Any] = json.loads(summary.read_text())
        return recorder.windows, figures


def show(result: dict[str, Any]) -> None:
    summary = result["summary"]
    print("\n".join([result["verdict"]["text"], *growth_lines(result["growth"])]))
    frames, latency = summary["frames"], summary["latency_ms"]["capture_to_mask"]
    print(f"frames: {frames}, {summary['fps']:.2f} masks a second for {summary['seconds']:.0f} s")
    print("capture to mask, ms: " + ", ".join(f"{key} {latency[key]:.2f}" for key in ("p50", "p99", "max")))
    print(f"frames dropped: {frames['skipped'] / frames['captured']:.3%}; source: {summary['source_health']}")
    print(f"load average before and after: {result['load_before_and_after']}; {result['environment']['cores']} cores")


if __name__ == "__main__":
    main()
