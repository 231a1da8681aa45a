"""Engines: what runs a camera graph. Each backend is one small class and one line in a table."""

from __future__ import annotations

import importlib
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from edgeseg.errors import EngineError, UsageError
from edgeseg.geometry import Size
from edgeseg.spec import ModelSpec

BACKENDS = {"onnxruntime-cpu": "edgeseg.runtime.onnxruntime_cpu:OnnxRuntimeCpu"}
"""Best first: the order in which `auto` tries them."""


@dataclass(frozen=True)
class Result:
    """What an engine says of one frame.

    Attributes:
        class_map: (h, w) uint8 class ids at the network's size.
        confidence: (h, w) uint8, 255 times the softmax maximum; None if the graph has no such output.
        inference_ms: time in the engine, by the device's own events where there is a device.
    """

    class_map: NDArray[np.uint8]
    confidence: NDArray[np.uint8] | None
    inference_ms: float


class Engine(ABC):
    """A camera graph, loaded. A context manager that owns what it holds on the device.

    Attributes:
        backend: its name in BACKENDS.
        device: the hardware's name.
        spec: of the model.
        frame_size: the picture size that `run` takes.
    """

    backend: str
    device: str
    spec: ModelSpec
    frame_size: Size

    def run(self, frame: NDArray[np.uint8]) -> Result:
        """Segment one frame.

        Args:
            frame: (H, W, 3) uint8, BGR, C-contiguous, of `frame_size`.

        Raises:
            ValueError: the frame has another shape, type or layout.
            EngineError: the engine failed; it must not be used again.
        """
        expected = (*self.frame_size, 3)
        if frame.shape != expected or frame.dtype != np.uint8 or not frame.flags.c_contiguous:
            raise ValueError(f"frame is {frame.shape} {frame.dtype}; expected {expected} uint8, C-contiguous")
        start = time.perf_counter()
        class_map, confidence, device_ms = self._run(frame)
        host_ms = (time.perf_counter() - start) * 1e3
        return Result(class_map, confidence, host_ms if device_ms is None else device_ms)

    def warm_up(self, runs: int) -> None:
        """Run grey frames, so that lazy allocation and first-run costs fall on no real frame."""
        frame = np.full((*self.frame_size, 3), 127, np.uint8)
        for _ in range(runs):
            self.run(frame)

    def close(self) -> None:
        """Free what the engine holds."""

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _run(self, frame: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None, float | None]:
        """Return class map, confidence, and the device's own time in ms (None: the host's clock will do)."""


def open_engine(path: Path, backend: str = "auto", threads: int | None = None) -> Engine:
    """Load a camera graph into an engine.

    Args:
        path: the ONNX file that `edgeseg export` wrote.
        backend: a name in BACKENDS, or `auto` for the best that works.
        threads: host threads for the network; None lets the engine choose.

    Raises:
        UsageError: no such backend, or a thread count below 1.
        ModelError: the file cannot be used.
        EngineError: no backend works here.
    """
    if threads is not None and threads < 1:
        raise UsageError(f"{threads} threads; expected at least 1")
    if backend == "auto":
        backend = next(iter(BACKENDS))
    if backend not in BACKENDS:
        raise UsageError(f"backend {backend!r}; expected auto or one of {', '.join(BACKENDS)}")
    module, _, name = BACKENDS[backend].partition(":")
    engine: Engine = getattr(importlib.import_module(module), name)(path, threads)
    return engine


def engine_failed(backend: str, error: Exception) -> EngineError:
    """Return the one-line error for an exception that a backend raised while running."""
    reason = " ".join(str(error).split())[:300]
    return EngineError(f"{backend} failed while running: {reason}; restart the process, and check memory and driver")
