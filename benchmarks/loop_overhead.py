"""What edgeseg-camera costs beside the bare engine call and beside a plain loop, one inference thread each.

    python benchmarks/loop_overhead.py model.onnx video.mp4 [--raw raw.onnx] [--rounds 5] [--seconds 6] [--json FILE]

`model.onnx` comes from `edgeseg export RUN --camera-size 1280x720` (the video's size), `raw.onnx` from
`edgeseg export RUN --raw`. The ways take turns; ratios are taken within a round:

    bare engine     session.run on decoded frames, again and again: no decoding, no loop
    plain, graph    OpenCV read, session.run on the camera graph
    plain, raw      OpenCV read, resize, normalise, session.run, argmax: what one writes without edgeseg
    edgeseg-camera  --every-frame: its process, its capture process, its records

Latency is measured on its own, in the newest-frame mode of a camera, at a rate that the engine keeps up with. On a
machine that does anything else the figures say little. Exit code 1: a criterion is not held.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import onnxruntime
import overlay_speed
from peer_loops import usual_pixels

from edgeseg.core.geometry import Size
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.engines.base import Engine
from edgeseg.runtime.loop import run
from edgeseg.runtime.measure.environment import environment
from edgeseg.runtime.settings import LoopSettings
from edgeseg.runtime.sources.addresses import parse_source

LEAST_OF_BARE, MOST_P99, MOST_HOST_MS, MOST_OVERLAY_MS = 0.97, 1.3, 1.0, 3.0
EASY_SHARE = 0.6  # of the engine's own rate, for latency: what waits for the frame before is another question
Step = Callable[[np.ndarray], object]


class Criterion(NamedTuple):
    """A figure, what is asked of it, and whether it is to be at least or at most that."""

    name: str
    measured: float
    asked: float
    at_least: bool

    @property
    def is_held(self) -> bool:
        return self.measured >= self.asked if self.at_least else self.measured <= self.asked

    def __str__(self) -> str:
        sign, held = ">=" if self.at_least else "<=", "held" if self.is_held else "NOT HELD"
        return f"{self.name:<58}{self.measured:9.3f}  {sign} {self.asked:g}  {held}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("video", type=Path)
    parser.add_argument("--raw", type=Path, help="the network alone, for the plain loop")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    fps, last = take_turns(arguments)
    show(fps)
    rate = min(EASY_SHARE * statistics.median(fps["bare engine"]), stated_fps(arguments.video))
    latency = camera(arguments.model, arguments.video, 3 * arguments.seconds, "--source-rate", f"{rate:.1f}")
    overlay = statistics.median(overlay_speed.measure(60)["overlay, out="])
    cpu_ms = loop_cpu_ms(arguments.model, arguments.video)
    criteria = [
        *judged(fps, last, latency),
        Criterion("CPU time of the loop without an engine, ms a frame", cpu_ms, MOST_HOST_MS, False),
        Criterion("overlay of 1280x720 on one core, ms", overlay, MOST_OVERLAY_MS, False),
    ]
    print(
        f"\nlatency measured at {rate:.1f} frames a second; load average before: {load:.2f} of {os.cpu_count()} cores"
    )
    print("\n".join(map(str, criteria)))
    if arguments.json:
        document = {
            "load_before": load,
            "environment": environment(),
            "fps": fps,
            "criteria": [{**each._asdict(), "is_held": each.is_held} for each in criteria],
            "every_frame": last,
            "latency": latency,
        }
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    sys.exit(0 if all(each.is_held for each in criteria) else 1)


def take_turns(arguments: argparse.Namespace) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Return the frames a second of each way, a round each, and edgeseg-camera's summary of the last round."""
    session = one_thread_session(arguments.model)
    frames = decoded(arguments.video, tuple(session.get_inputs()[0].shape[1:3]))
    last: dict[str, Any] = {}

    def edgeseg_camera() -> float:
        last.update(camera(arguments.model, arguments.video, arguments.seconds, "--every-frame"))
        return float(last["fps"])

    ways: dict[str, Callable[[], float]] = {
        "bare engine": lambda: bare(session, frames, arguments.seconds),
        "plain, graph": lambda: plain(on_graph(session), arguments.video, arguments.seconds),
        "edgeseg-camera": edgeseg_camera,
    }
    if arguments.raw:
        raw = on_raw(one_thread_session(arguments.raw), spec_of(session))
        ways["plain, raw"] = lambda: plain(raw, arguments.video, arguments.seconds)
    fps: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.rounds):
        for name, way in ways.items():
            fps[name].append(way())
    return fps, last


class NoEngine(Engine):
    """Gives an empty mask at once: what is left is the loop."""

    backend, device = "none", "none"

    def __init__(self, spec: ModelSpec, frame_size: Size) -> None:
        self.spec, self.frame_size = spec, frame_size
        self._mask = np.zeros(spec.input_size, np.uint8)

    def _run(self, frame: np.ndarray) -> tuple[np.ndarray, None, None]:
        return self._mask, None, None


def loop_cpu_ms(model: Path, video: Path, frames: int = 1500) -> float:
    """Return the CPU time of the loop's process for a frame, all its threads, in ms: little moved by what else runs."""
    session = one_thread_session(model)
    engine = NoEngine(spec_of(session), Size(*session.get_inputs()[0].shape[1:3]))
    source = replace(parse_source(str(video), loop=True), keep=20)
    times: list[float] = []
    settings = LoopSettings(every_frame=True, frames=frames)
    run(source, lambda: engine, settings, threading.Event(), watch=lambda *_: times.append(time.process_time()))
    settled = frames // 10
    return (times[-1] - times[settled]) / (len(times) - 1 - settled) * 1e3


def show(fps: dict[str, list[float]]) -> None:
    print(f"{'':<16}{'fps median':>12}{'min':>8}{'max':>8}{'of bare (median of rounds)':>28}")
    for name, rates in fps.items():
        share = ratio(fps, name, "bare engine")
        print(f"{name:<16}{statistics.median(rates):12.2f}{min(rates):8.2f}{max(rates):8.2f}{share:27.1%}")


def judged(fps: dict[str, list[float]], every_frame: dict[str, Any], latency: dict[str, Any]) -> list[Criterion]:
    ours, ages = "edgeseg-camera", latency["latency_ms"]["capture_to_mask"]
    outside = 1e3 / every_frame["fps"] - every_frame["latency_ms"]["inference"]["mean"]
    plain_ones = [
        Criterion(f"frame rate, of {name}", ratio(fps, ours, name), 1.0, True) for name in fps if "plain" in name
    ]
    return [
        Criterion("frame rate, of the bare engine", ratio(fps, ours, "bare engine"), LEAST_OF_BARE, True),
        *plain_ones,
        Criterion("host time outside the engine, ms a frame", outside, MOST_HOST_MS, False),
        Criterion(
            f"capture to mask, p99 {ages['p99']:.2f} / p50 {ages['p50']:.2f} ms",
            ages["p99"] / ages["p50"],
            MOST_P99,
            False,
        ),
    ]


def ratio(fps: dict[str, list[float]], name: str, other: str) -> float:
    return statistics.median(a / b for a, b in zip(fps[name], fps[other], strict=True))


def one_thread_session(model: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def spec_of(session: onnxruntime.InferenceSession) -> ModelSpec:
    return ModelSpec.from_json(session.get_modelmeta().custom_metadata_map["edgeseg"], "model")


def stated_fps(video: Path) -> float:
    return float(cv2.VideoCapture(str(video)).get(cv2.CAP_PROP_FPS)) or 25.0


def decoded(video: Path, size: tuple[int, int]) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(video))
    frames: list[np.ndarray] = []
    while len(frames) < 8:
        ok, frame = capture.read()
        if not ok:
            break
        assert frame.shape[:2] == size, f"export the model with --camera-size {frame.shape[1]}x{frame.shape[0]}"
        frames.append(frame)
    return frames


def on_graph(session: onnxruntime.InferenceSession) -> Step:
    return lambda frame: session.run(None, {"frame": frame[np.newaxis]})


def on_raw(session: onnxruntime.InferenceSession, spec: ModelSpec) -> Step:
    """Return the steps that a program around the bare network takes."""
    name = session.get_inputs()[0].name

    def step(frame: np.ndarray) -> object:
        pixels = usual_pixels(frame, spec)
        (logits,) = session.run(None, {name: np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis])})
        return logits.argmax(axis=1).astype(np.uint8)

    return step


def bare(session: onnxruntime.InferenceSession, frames: list[np.ndarray], seconds: float) -> float:
    step = on_graph(session)
    for frame in frames:
        step(frame)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        step(frames[count % len(frames)])
        count += 1
    return count / (time.perf_counter() - start)


def plain(step: Step, video: Path, seconds: float) -> float:
    capture = cv2.VideoCapture(str(video))
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        ok, frame = capture.read()
        if not ok:
            capture.open(str(video))
            continue
        step(frame)
        count += 1
    return count / (time.perf_counter() - start)


def camera(model: Path, video: Path, seconds: float, *more: str) -> dict[str, Any]:
    """Run edgeseg-camera for so long and return its summary."""
    with tempfile.TemporaryDirectory() as folder:
        summary = Path(folder) / "summary.json"
        command = [sys.executable, "-m", "edgeseg.runtime", str(video), "--model", str(model), "--threads", "1"]
        command += ["--backend", "onnxruntime-cpu"]  # the engine that it is compared with
        command += ["--loop", "--seconds", str(seconds), "--summary", str(summary), "--quiet", *more]
        subprocess.run(command, check=True)
        values: dict[str, Any] = json.loads(summary.read_text())
    return values


if __name__ == "__main__":
    main()
