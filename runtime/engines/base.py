"""Engines: what runs a model. Each backend is one small class and one line in a table."""

from __future__ import annotations

import contextlib
import importlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.errors import EdgesegError, EngineError, ModelError, UsageError
from edgeseg.geometry import Size
from edgeseg.runtime.engine_race import faster
from edgeseg.runtime.engine_settings import (
    AUTO_LEAVES_OUT,
    BACKENDS,
    CPU_REFERENCE,
    CPU_RIVAL,
    GPU_BACKENDS,
    EngineSettings,
)
from edgeseg.runtime.hang_guard import HangGuard
from edgeseg.runtime.model_file import ModelFile, open_model_file
from edgeseg.spec import ModelSpec

if TYPE_CHECKING:
    from edgeseg.runtime.graph_engine import GraphEngine


@dataclass(frozen=True)
class Result:
    """What an engine says of one frame.

    Attributes:
        class_map: (h, w) uint8 class ids at the network's size.
        confidence: (h, w) uint8, 255 times the softmax maximum; None if the graph has no such output.
        inference_ms: time in the engine, by the device's own events where there is a device.
        preprocess_ms: time on the host before it; 0 for a camera graph.
    """

    class_map: NDArray[np.uint8]
    confidence: NDArray[np.uint8] | None
    inference_ms: float
    preprocess_ms: float = 0.0


class Engine(ABC):
    """A model, loaded. A context manager that owns what it holds on the device.

    Attributes:
        backend: its name in BACKENDS.
        device: the hardware's name.
        spec: of the model.
        frame_size: the picture size that `run` takes.
        guard: ends the process if a run hangs; None where somebody else watches.
        min_fps: what the warm-up must reach; 0 for anything.
        in_flight: how many frames `submit` takes before the first of them is collected.
    """

    backend: str
    device: str
    spec: ModelSpec
    frame_size: Size
    guard: HangGuard | None = None
    min_fps: float = 0.0
    in_flight: int = 1
    _preprocess_ms: Sequence[float] = ()  # of the frames in flight
    _prepared: NDArray[Any]

    def run(self, frame: NDArray[np.uint8]) -> Result:
        """Segment one frame.

        Args:
            frame: (H, W, 3) uint8, BGR, C-contiguous, of `frame_size`.

        Raises:
            ValueError: the frame has another shape, type or layout.
            EngineError: the engine failed; it must not be used again.
        """
        self.submit(frame)
        return self.collect()

    def submit(self, frame: NDArray[np.uint8]) -> None:
        """Begin a frame; `collect` gives the results in the order of the calls. Otherwise as `run`.

        With an `in_flight` of 1 the work is done by `collect`, and the frame must stay as it is until then.
        """
        expected = (*self.frame_size, 3)
        if frame.shape != expected or frame.dtype != np.uint8 or not frame.flags.c_contiguous:
            raise ValueError(f"frame is {frame.shape} {frame.dtype}; expected {expected} uint8, C-contiguous")
        with self.guard or contextlib.nullcontext():
            self._submit(frame)

    def collect(self) -> Result:
        """Wait for the oldest frame that was submitted. Raises EngineError."""
        with self.guard or contextlib.nullcontext():
            return self._collect()

    def warm_up(self, runs: int) -> None:
        """Run grey frames, so that lazy allocation and first-run costs fall on no real frame.

        The guard does not watch them: a first run may compile for a minute. It learns what a run takes.

        Raises:
            EngineError: the engine failed, or is slower than `min_fps`.
        """
        frame = np.full((*self.frame_size, 3), 127, np.uint8)
        seconds = []
        for _ in range(runs):
            start = time.perf_counter()
            self._submit(frame)
            self._collect()
            seconds.append(time.perf_counter() - start)
        if not seconds:
            return
        if self.guard:
            self.guard.allow(seconds[-1])
        fps = 1 / min(seconds)
        if fps < self.min_fps:
            raise EngineError(
                f"{self.backend} on {self.device} reaches {fps:.1f} frames a second; expected at least {self.min_fps:g}"
            )

    def close(self) -> None:
        """Free what the engine holds."""

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.guard or contextlib.nullcontext():  # a device that has failed may hang here
            self.close()

    def _submit(self, frame: NDArray[np.uint8]) -> None:
        start = time.perf_counter()
        prepared = self._prepare(frame)
        self._preprocess_ms = [*self._preprocess_ms, (time.perf_counter() - start) * 1e3]
        self._begin(prepared)

    def _collect(self) -> Result:
        preprocess_ms, *self._preprocess_ms = self._preprocess_ms
        start = time.perf_counter()
        class_map, confidence, engine_ms = self._end()
        host_ms = (time.perf_counter() - start) * 1e3
        return Result(class_map, confidence, host_ms if engine_ms is None else engine_ms, preprocess_ms)

    def _begin(self, prepared: NDArray[Any]) -> None:
        """Start what `_end` waits for; an engine that does one frame at a time does it all there."""
        self._prepared = prepared

    def _end(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None, float | None]:
        return self._run(self._prepared)

    def _prepare(self, frame: NDArray[np.uint8]) -> NDArray[Any]:
        """Return what `_run` takes."""
        return frame

    @abstractmethod
    def _run(self, frame: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None, float | None]:
        """Return class map, confidence, and the engine's own time in ms (None: that of this call)."""


def open_engine(
    path: Path,
    backend: str = "auto",
    threads: int | None = None,
    notice: Callable[[str], None] | None = None,
    **settings: Any,
) -> Engine:
    """Load a model into an engine: `load_engine` with settings by name."""
    return load_engine(path, EngineSettings(backend=backend, threads=threads, **settings), notice)


def load_engine(path: Path, settings: EngineSettings, notice: Callable[[str], None] | None = None) -> Engine:
    """Load a model into an engine.

    Args:
        path: an ONNX file: a camera graph that `edgeseg export` wrote, or any network with a spec.
        settings: which backend, and how.
        notice: told, with the backend `auto`, which were passed over and why.

    Raises:
        ModelError: the file cannot be used.
        EngineError: the backend does not work here.
        UsageError: none does.
    """
    model = open_model_file(path, settings.spec)
    if settings.backend == "auto":
        engine = _best(model, settings, notice or (lambda text: None))
    else:
        kind = backend_class(settings.backend)
        reason = kind.missing()
        if reason:
            raise EngineError(f"backend {settings.backend}: {reason}")
        engine = kind(model, settings)
    engine.min_fps = settings.min_fps
    return engine


def backend_class(backend: str) -> type[GraphEngine]:
    """Return the class of a backend. Raises ModuleNotFoundError where its library is not installed."""
    module, _, name = BACKENDS[backend].partition(":")
    kind: type[GraphEngine] = getattr(importlib.import_module(module), name)
    return kind


def _best(model: ModelFile, settings: EngineSettings, notice: Callable[[str], None]) -> Engine:
    """Return the first engine that works, on the CPU the faster one, and say why those before it do not."""
    passed_over: list[str] = []
    last: EdgesegError | None = None
    for backend in candidates(model, settings):
        try:
            kind = backend_class(backend)
            reason = kind.missing()
            if reason is None:
                engine: Engine = kind(model, settings)
                why = ""
                if backend == CPU_RIVAL:
                    engine, why = _against_reference(engine, model, settings)
                if passed_over or why:
                    notice("; not ".join([f"backend {engine.backend}{why}", *passed_over]))
                return engine
        except (ModelError, EngineError) as error:
            last, reason = error, str(error)
        except ModuleNotFoundError as error:
            reason = f"{error.name} is not installed"
        passed_over.append(f"{backend} ({reason})")
    if last and not settings.require_gpu:
        raise last
    if settings.require_gpu or model.card:
        raise EngineError(f"a GPU is required, and no engine works on one: {'; '.join(passed_over)}")
    raise UsageError(f"no engine works here: {'; '.join(passed_over)}; pip install 'edgeseg[cpu]' brings one")


def _against_reference(rival: Engine, model: ModelFile, settings: EngineSettings) -> tuple[Engine, str]:
    """Return the engine, or ONNX Runtime's where it is not clearly faster than that, and what they take."""
    try:
        kind = backend_class(CPU_REFERENCE)
        if kind.missing() is not None:
            return rival, ""
        reference = kind(model, settings)
    except (ModelError, EngineError, ModuleNotFoundError):
        return rival, ""
    engine, times = faster(reference, rival)
    return engine, f" ({times})"


def candidates(model: ModelFile, settings: EngineSettings) -> Sequence[str]:
    """Return the backends that may run a model, in the order in which they are tried."""
    if settings.backend != "auto":
        return (settings.backend,)
    if model.card:
        return ("tensorrt",)  # an engine runs nowhere else
    known = [backend for backend in BACKENDS if backend in GPU_BACKENDS or not settings.require_gpu]
    # OpenVINO's own int8 is beyond what the export has proven (docs/engines.md), so it is the last resort.
    return sorted(
        (backend for backend in known if backend not in AUTO_LEAVES_OUT),
        key=lambda backend: backend == CPU_RIVAL and model.spec.precision == "int8",
    )
