"""What a user would otherwise write or take, a loop each, and edgeseg's own; benchmarks/peers.py runs them.

Every loop but edgeseg's reads a frame by OpenCV, resizes and normalises it in NumPy, calls one library and takes the
argmax. Each library is used as its own introduction shows it, with its default threads.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from peer_models import Files

from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.machine.openvino_import import import_openvino
from edgeseg.runtime.machine.processes import cpu_seconds, descendants

Mask = NDArray[np.uint8]
Network = Callable[[NDArray[np.float32]], NDArray[Any]]
"""Takes (H, W, 3) float32 pixels, returns a (h, w) class map of any integer type."""


class Turn(NamedTuple):
    """A turn of a peer: frames, the seconds that they took, and their processor seconds, of children too."""

    frames: int
    seconds: float
    cpu_seconds: float


class Peer(ABC):
    """One row of the table."""

    @abstractmethod
    def mask(self, frame: Mask) -> Mask:
        """Return the class map, (h, w) uint8, of a (H, W, 3) uint8 BGR frame."""

    @abstractmethod
    def turn(self, video: Path, seconds: float) -> Turn:
        """Segment the frames of a video, over and over, for so long."""


def usual_pixels(frame: Mask, spec: ModelSpec) -> NDArray[np.float32]:
    """Return (h, w, 3) float32 pixels of a (H, W, 3) uint8 BGR frame as a program around a bare network makes them."""
    size = (spec.input_size.width, spec.input_size.height)
    resized = cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)
    ordered = resized if spec.colour_order == "bgr" else resized[..., ::-1]
    pixels: NDArray[np.float32] = (ordered.astype(np.float32) - np.array(spec.mean, np.float32)) * np.array(
        spec.scale, np.float32
    )
    return pixels


class PlainLoop(Peer):
    """OpenCV reads, NumPy prepares, a library computes."""

    def __init__(self, network: Network, spec: ModelSpec) -> None:
        self._network, self._spec = network, spec

    def mask(self, frame: Mask) -> Mask:
        return self._network(usual_pixels(frame, self._spec)).astype(np.uint8)

    def turn(self, video: Path, seconds: float) -> Turn:
        capture = cv2.VideoCapture(str(video))
        capture.read()
        count, start, cpu = 0, time.perf_counter(), time.process_time()
        while time.perf_counter() - start < seconds:
            good, frame = capture.read()
            if not good:
                capture.open(str(video))
                continue
            self.mask(np.asarray(frame, np.uint8))
            count += 1
        return Turn(count, time.perf_counter() - start, time.process_time() - cpu)


class Edgeseg(Peer):
    """The camera loop on every frame: capture in a process of its own, records, the camera graph."""

    def __init__(self, files: Files, backend: str) -> None:
        from edgeseg.runtime.engines.choose import open_engine

        self._engine = open_engine(files.graph, backend)
        self._engine.warm_up(3)

    def mask(self, frame: Mask) -> Mask:
        return np.array(self._engine.run(frame).class_map)

    def turn(self, video: Path, seconds: float) -> Turn:
        from edgeseg.runtime.loop import run
        from edgeseg.runtime.settings import LoopSettings
        from edgeseg.runtime.sources.addresses import parse_source

        marks: list[
            tuple[float, int, float]
        ] = []  # seconds, frames, CPU seconds: the capture process has begun by then

        def watch(ledger: Any, passed: float) -> None:
            if not marks or passed - marks[-1][0] >= 0.25:
                tasks = [os.getpid(), *descendants(os.getpid())]
                marks.append((passed, ledger.processed, sum(map(cpu_seconds, tasks))))

        settings = LoopSettings(every_frame=True, seconds=seconds)
        source = parse_source(str(video), loop=True)
        outcome = run(source, lambda: contextlib.nullcontext(self._engine), settings, threading.Event(), watch)
        assert not outcome.error, outcome.error
        frames = outcome.summary.frames["processed"]
        (_, first, cpu), (_, last, cpu_then) = marks[0], marks[-1]
        return Turn(frames, outcome.summary.seconds, (cpu_then - cpu) / max(1, last - first) * frames)


def keras_predict(files: Files) -> Peer:
    from edgeseg.models.build import load_model

    model = load_model(files.keras)
    return PlainLoop(lambda pixels: model.predict(pixels[np.newaxis], verbose=0)[0].argmax(-1), files.spec)


def tensorflow_graph(files: Files) -> Peer:
    from edgeseg.models.build import load_model
    from edgeseg.tf import tf

    model = load_model(files.keras)

    @tf.function(input_signature=[tf.TensorSpec((1, *files.spec.input_size, 3), tf.float32)])  # type: ignore[untyped-decorator]
    def class_map(pixels: Any) -> Any:
        return tf.argmax(model(pixels, training=False)[0], axis=-1)

    return PlainLoop(lambda pixels: np.asarray(class_map(pixels[np.newaxis])), files.spec)


def onnx_runtime(files: Files) -> Peer:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(files.raw), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return PlainLoop(lambda pixels: session.run(None, {name: _nchw(pixels)})[0][0].argmax(0), files.spec)


def opencv_dnn(files: Files) -> Peer:
    net = cv2.dnn.readNetFromONNX(str(files.raw))

    def class_map(pixels: NDArray[np.float32]) -> NDArray[Any]:
        net.setInput(_nchw(pixels))
        return np.asarray(np.asarray(net.forward())[0].argmax(0))

    return PlainLoop(class_map, files.spec)


def litert(files: Files) -> Peer:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(files.lite), num_threads=len(os.sched_getaffinity(0)))
    interpreter.allocate_tensors()
    taken, given = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def class_map(pixels: NDArray[np.float32]) -> NDArray[Any]:
        interpreter.set_tensor(taken, pixels[np.newaxis])
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(given)[0].argmax(-1))

    return PlainLoop(class_map, files.spec)


def openvino(files: Files, **config: str) -> Peer:
    openvino = import_openvino()
    compiled = openvino.Core().compile_model(str(files.raw), "CPU", config)
    return PlainLoop(lambda pixels: np.asarray(compiled(_nchw(pixels))[0])[0].argmax(0), files.spec)


def _nchw(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis])


PEERS: dict[str, Callable[[Files], Peer]] = {
    "edgeseg, openvino": lambda files: Edgeseg(files, "openvino"),
    "edgeseg, openvino-bf16": lambda files: Edgeseg(files, "openvino-bf16"),
    "edgeseg, onnxruntime-cpu": lambda files: Edgeseg(files, "onnxruntime-cpu"),
    "OpenVINO, its default": openvino,
    "OpenVINO, float32": lambda files: openvino(files, INFERENCE_PRECISION_HINT="f32"),
    "ONNX Runtime": onnx_runtime,
    "LiteRT": litert,
    "TensorFlow graph": tensorflow_graph,
    "Keras predict": keras_predict,
    "OpenCV DNN": opencv_dnn,
}
FLOAT_ONLY = ("edgeseg, openvino-bf16", "OpenVINO, float32", "TensorFlow graph", "Keras predict")


def frames_of(video: Path, count: int) -> list[Mask]:
    """Return frames from the whole length of a video."""
    capture = cv2.VideoCapture(str(video))
    read: list[Mask] = []
    while True:
        good, frame = capture.read()
        if not good:
            break
        read.append(np.asarray(frame, np.uint8))
    return [read[int(index)] for index in np.linspace(0, len(read) - 1, min(count, len(read)))]


def main(arguments: Sequence[str]) -> None:
    """Serve one peer: a line of JSON in, a line of JSON out. `{"masks": FILE}` or `{"seconds": S}`."""
    name, video, *paths = arguments
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # libraries write to standard output as they like
    try:
        peer = PEERS[name](Files(*map(Path, paths)))
        peer.mask(frames_of(Path(video), 1)[0])
        print(json.dumps({}), file=answers)
        for line in sys.stdin:
            print(json.dumps(_answer(peer, Path(video), json.loads(line))), file=answers)
    except Exception as error:  # a row without figures, and its reason
        print(json.dumps({"error": f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]}), file=answers)


def _answer(peer: Peer, video: Path, asked: dict[str, Any]) -> dict[str, Any]:
    if "masks" in asked:
        np.save(asked["masks"], np.stack([peer.mask(frame) for frame in frames_of(video, asked["count"])]))
        return {}
    peak_kib = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {**peer.turn(video, asked["seconds"])._asdict(), "peak_mib": peak_kib / 1024}


if __name__ == "__main__":
    main(sys.argv[1:])
