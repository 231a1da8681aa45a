"""How much older are masks of a 30 fps camera for the plausibility watch?

    python benchmarks/watch_age.py model.onnx video.mp4 [--rounds 4] [--seconds 6] [--json FILE]

The video's pictures are sent as JPEGs over HTTP, 30 a second, as an IP camera does it, by a process of its own.
edgeseg-camera runs on them with the watch and without it in turns. A mask's age is from the arrival of its picture,
before that is decoded, to the mask; the first 30 of a run do not count. On a machine that does anything else the
figures say little. Exit code 1: the watch costs more than 1 ms, by the median of the rounds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from edgeseg.runtime.measure.environment import environment

FPS = 30.0
MOST_MS, LEAST_MASKS = 1.0, 60
WAYS = {"with the watch": "--plausibility", "without": "--no-plausibility"}
HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
PART = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n"


def jpegs_of(video: Path, count: int = 60) -> list[bytes]:
    capture = cv2.VideoCapture(str(video))
    jpegs: list[bytes] = []
    while len(jpegs) < count and (read := capture.read())[0]:
        jpegs.append(cv2.imencode(".jpg", read[1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes())
    return jpegs


def serve(listener: socket.socket, jpegs: list[bytes]) -> None:
    """Answer one client after the other; forwards and backwards, so that no two pictures are a jump."""
    order = [*jpegs, *jpegs[-2:0:-1]]
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        start = time.monotonic()
        try:
            client.sendall(HEAD)
            for index in itertools.count():
                time.sleep(max(0.0, start + index / FPS - time.monotonic()))
                client.sendall(PART % (len(order[index % len(order)]), order[index % len(order)]))
        except OSError:
            client.close()


def ages_of(uri: str, model: Path, seconds: float, option: str) -> list[float]:
    """Return the age of each mask in ms."""
    with tempfile.TemporaryDirectory() as folder:
        stats = Path(folder) / "stats.jsonl"
        command = [sys.executable, "-m", "edgeseg.runtime", uri, "--model", str(model), "--threads", "1", option]
        command += ["--backend", "onnxruntime-cpu", "--seconds", str(seconds), "--stats", str(stats), "--quiet"]
        subprocess.run(command, check=True)
        records = [json.loads(line) for line in stats.read_text().splitlines()]
    ages = [each["ms"]["capture_to_mask"] for each in records if each["status"] in ("ok", "stale")]
    if len(ages) < LEAST_MASKS:
        sys.exit(f"{len(ages)} masks in {seconds:g} s; expected {LEAST_MASKS}: take a quicker model, or measure longer")
    return ages[LEAST_MASKS // 2 :]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("video", type=Path)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    listener = socket.create_server(("127.0.0.1", 0))
    camera = multiprocessing.Process(target=serve, args=(listener, jpegs_of(arguments.video)), daemon=True)
    camera.start()
    uri = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    for turn in range(arguments.rounds):
        for name in sorted(WAYS, reverse=bool(turn % 2)):
            ages = ages_of(uri, arguments.model, arguments.seconds, WAYS[name])
            p50, p95 = np.percentile(ages, (50, 95))
            rounds[name].append({"masks": len(ages), "p50": float(p50), "p95": float(p95)})
    camera.terminate()
    for name, each in rounds.items():
        p50s, p95s = ([one[key] for one in each] for key in ("p50", "p95"))
        print(f"{name:<16} p50 {statistics.median(p50s):6.2f} ms ({min(p50s):.2f} to {max(p50s):.2f})", end="  ")
        print(f"p95 {statistics.median(p95s):6.2f} ms ({min(p95s):.2f} to {max(p95s):.2f})")
    more = statistics.median(a["p50"] - b["p50"] for a, b in zip(*rounds.values(), strict=True))
    print(f"a mask is {more:+.2f} ms older for the watch; load average before: {load:.2f} of {os.cpu_count()} cores")
    if arguments.json:
        document = {"load_before": load, "environment": environment(), "rounds": rounds, "older_ms": more}
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    sys.exit(0 if more <= MOST_MS else 1)


if __name__ == "__main__":
    main()
