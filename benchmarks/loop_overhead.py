"""Frames a second of edgeseg-camera --every-frame against the bare engine call on the same graph, one thread each.

    python benchmarks/loop_overhead.py model.onnx video.mp4 [--rounds 5] [--seconds 6]

The bare call runs ONNX Runtime on one decoded frame again and again: no decoding, no loop. A plain loop (OpenCV read,
session.run) is measured beside it. The three take turns; ratios are taken within a round.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnxruntime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("video", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0)
    arguments = parser.parse_args()
    session = one_thread_session(arguments.model)
    frames = decoded(arguments.video, tuple(session.get_inputs()[0].shape[1:3]))
    ways: dict[str, Callable[[], tuple[float, str]]] = {
        "bare engine": lambda: bare(session, frames, arguments.seconds),
        "plain loop": lambda: plain_loop(session, arguments.video, arguments.seconds),
        "edgeseg-camera": lambda: camera(arguments.model, arguments.video, arguments.seconds),
    }
    fps: dict[str, list[float]] = {name: [] for name in ways}
    notes = {}
    for _ in range(arguments.rounds):
        for name, way in ways.items():
            rate, notes[name] = way()
            fps[name].append(rate)
    print(f"{'':<16}{'fps median':>12}{'min':>8}{'max':>8}{'of bare (median of rounds)':>28}")
    for name, rates in fps.items():
        ratio = statistics.median(a / b for a, b in zip(rates, fps["bare engine"], strict=True))
        print(
            f"{name:<16}{statistics.median(rates):12.2f}{min(rates):8.2f}{max(rates):8.2f}{ratio:27.1%}  {notes[name]}"
        )


def one_thread_session(model: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def decoded(video: Path, size: tuple[int, int]) -> list[np.ndarray]:
    capture, frames = cv2.VideoCapture(str(video)), []
    while len(frames) < 8:
        ok, frame = capture.read()
        if not ok:
            break
        assert frame.shape[:2] == size, f"export the model with --camera-size {frame.shape[1]}x{frame.shape[0]}"
        frames.append(frame[np.newaxis])
    return frames


def bare(session: onnxruntime.InferenceSession, frames: list[np.ndarray], seconds: float) -> tuple[float, str]:
    for frame in frames:
        session.run(None, {"frame": frame})
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        session.run(None, {"frame": frames[count % len(frames)]})
        count += 1
    return count / (time.perf_counter() - start), ""


def plain_loop(session: onnxruntime.InferenceSession, video: Path, seconds: float) -> tuple[float, str]:
    capture = cv2.VideoCapture(str(video))
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        ok, frame = capture.read()
        if not ok:
            capture.open(str(video))
            continue
        session.run(None, {"frame": frame[np.newaxis]})
        count += 1
    return count / (time.perf_counter() - start), ""


def camera(model: Path, video: Path, seconds: float) -> tuple[float, str]:
    with tempfile.TemporaryDirectory() as folder:
        summary = Path(folder) / "summary.json"
        command = [sys.executable, "-m", "edgeseg.runtime", str(video), "--model", str(model), "--threads", "1"]
        command += ["--every-frame", "--loop", "--seconds", str(seconds), "--summary", str(summary), "--quiet"]
        subprocess.run(command, check=True)
        values = json.loads(summary.read_text())
    host = values["latency_ms"]["preprocess"]["p50"] + values["latency_ms"]["postprocess"]["p50"]
    return values["fps"], f"pre- and postprocessing {host:.3f} ms a frame (p50)"


if __name__ == "__main__":
    main()
