"""Engines: what runs a model. Each backend is one small class in backends/, on the base class GraphEngine."""

from __future__ import annotations

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import EdgesegError, EngineError, one_line
from edgeseg.core.geometry import Size
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.engines.graph_form import GraphForm, Tensor, form_of
from edgeseg.runtime.engines.model_file import ModelFile
from edgeseg.runtime.engines.settings import EngineSettings

if TYPE_CHECKING:
    from edgeseg.runtime.engines.watchdog import Watchdog


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
        gives_confidence: whether each Result has one.
        watchdog: ends the process if a run hangs; None where somebody else watches.
        min_fps: what the warm-up must reach; 0 for anything.
        in_flight: how many frames `submit` takes before the first of them is collected.
        warm_ms: what the fastest frame of the warm-up took; None before.
    """

    backend: str
    device: str
    spec: ModelSpec
    frame_size: Size
    gives_confidence: bool = False
    watchdog: Watchdog | None = None
    min_fps: float = 0.0
    in_flight: int = 1
    warm_ms: float | None = None
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
        with self.watchdog or contextlib.nullcontext():
            self._submit(frame)

    def collect(self) -> Result:
        """Wait for the oldest frame that was submitted. Raises EngineError."""
        with self.watchdog or contextlib.nullcontext():
            return self._collect()

    def warm_up(self, runs: int) -> None:
        """Run grey frames, so that lazy allocation and first-run costs fall on no real frame.

        The watchdog does not watch them: a first run may compile for a minute. It learns what a run takes.

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
        if self.watchdog:
            self.watchdog.allow(seconds[-1])
        self.warm_ms = min(seconds) * 1e3
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
        with self.watchdog or contextlib.nullcontext():  # a device that has failed may hang here
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


class GraphEngine(Engine):
    """An engine over a file: a backend loads it, calls `_adopt`, and implements `_infer`."""

    form: GraphForm

    @classmethod
    def missing(cls) -> str | None:
        """Say what of this computer keeps the backend from working, as far as a glance tells; None: nothing."""
        return None

    @abstractmethod
    def __init__(self, model: ModelFile, settings: EngineSettings) -> None:
        """Load a model. Raises ModelError, EngineError."""

    def profile(self, warm_up: int, runs: int) -> dict[tuple[str, str], list[float]]:
        """Run grey frames with the engine's own profiler; settings.profiled must have been set.

        Args:
            warm_up: frames that are left out.
            runs: frames that count.

        Returns:
            Milliseconds of each run by the layer's name and kind; the kind is empty where the engine tells none.
        """
        raise NotImplementedError(f"{self.backend} has no profiler")  # layer_times.PROFILERS says who has

    def _adopt(self, model: ModelFile, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        self.spec = model.spec
        self.form = form_of(inputs, outputs, model.spec, str(model.path))
        self.frame_size = self.form.frame_size
        self.gives_confidence = self.form.gives_confidence

    def _prepare(self, frame: NDArray[np.uint8]) -> NDArray[Any]:
        return self.form.feed(frame)

    def _run(self, frame: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None, float | None]:
        start = time.perf_counter()
        with self._translate_library_errors():
            outputs, device_ms = self._infer(frame)
        host_ms = (time.perf_counter() - start) * 1e3
        class_map, confidence = self.form.read(outputs)
        return class_map, confidence, host_ms if device_ms is None else device_ms

    @contextlib.contextmanager
    def _translate_library_errors(self) -> Iterator[None]:
        try:
            yield
        except EdgesegError:
            raise
        except Exception as error:  # the libraries' own exceptions share no base
            raise engine_failed(self.backend, error) from error

    @abstractmethod
    def _infer(self, value: NDArray[Any]) -> tuple[Sequence[NDArray[Any]], float | None]:
        """Return the outputs that `form` names for its input, and the device's own time in ms if it has one."""


def engine_failed(backend: str, error: Exception) -> EngineError:
    """Return the one-line error for an exception that a backend raised while running."""
    reason = one_line(error, 300)
    return EngineError(f"{backend} failed while running: {reason}; restart the process, and check memory and driver")
