"""What each network costs: parameters, operations, and time on this machine through the exported file."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.core.spec import ModelSpec
from edgeseg.models.build import build_model
from edgeseg.models.complexity import flops
from edgeseg.models.options import NetworkOptions
from edgeseg.tf import keras

WARM_UP_RUNS, TIMED_RUNS = 3, 15


@dataclass(frozen=True)
class Cost:
    """A line of the table.

    Attributes:
        parameters: all weights, batch norm's statistics included.
        gflops: 1e9 operations a picture; a multiplication and an addition are two.
        latency_ms: median time of the exported camera graph with frames of the network's size; None: not asked for.
    """

    architecture: str
    encoder: str
    width: float
    parameters: int
    gflops: float
    latency_ms: float | None


def measure(options: NetworkOptions, size: Size, classes: int, latency: bool) -> Cost:
    """Build a network and count; with `latency`, export it to a temporary file and time ONNX Runtime on this CPU.

    Raises:
        UsageError: the network cannot take the size.
        ModelError, EngineError: the export or the engine failed.
    """
    keras.backend.clear_session()  # names and memory of the networks before
    model = build_model(options, size, classes)
    milliseconds = _latency_ms(model, options, size, classes) if latency else None
    return Cost(
        options.architecture,
        options.encoder,
        options.width,
        model.count_params(),
        flops(model) / 1e9,
        milliseconds,
    )


def _latency_ms(model: keras.Model, options: NetworkOptions, size: Size, classes: int) -> float:
    import onnx

    from edgeseg.export.camera_graph import camera_graph, with_camera
    from edgeseg.export.network import onnx_from_keras
    from edgeseg.export.upsampling import check_upsampling, write_grouped
    from edgeseg.runtime.engines.choose import open_engine

    spec = with_camera(_spec(options, size, classes), size)
    network = onnx_from_keras(model, spec)
    write_grouped(network, check_upsampling(model, network), {"per class"})
    graph = camera_graph(network, spec)
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(graph, str(path))
        del graph
        with open_engine(path, "onnxruntime-cpu") as engine:
            engine.warm_up(WARM_UP_RUNS)
            return statistics.median(_timed(lambda: engine.run(frame)) for _ in range(TIMED_RUNS))


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3


def _spec(options: NetworkOptions, size: Size, classes: int) -> ModelSpec:
    pixels = options.preprocessing
    names = ClassMap(tuple(f"class {i}" for i in range(classes)), tuple((i, i, i) for i in range(classes)))
    return ModelSpec(
        options.name, options.architecture, options.encoder, size, pixels.colour_order, pixels.mean, pixels.scale, names
    )
