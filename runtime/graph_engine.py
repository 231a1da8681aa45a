"""What every backend is: an engine over a file, whose graph has a form (edgeseg.runtime.graph_form)."""

from __future__ import annotations

import contextlib
import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.errors import EdgesegError, EngineError
from edgeseg.runtime.engine_settings import EngineSettings
from edgeseg.runtime.engines import Engine
from edgeseg.runtime.graph_form import GraphForm, Tensor, form_of
from edgeseg.runtime.model_file import ModelFile


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
        raise NotImplementedError(f"{self.backend} has no profiler")  # edgeseg.runtime.layers.PROFILERS says who has

    def _adopt(self, model: ModelFile, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        self.spec = model.spec
        self.form = form_of(inputs, outputs, model.spec, str(model.path))
        self.frame_size = self.form.frame_size

    def _prepare(self, frame: NDArray[np.uint8]) -> NDArray[Any]:
        return self.form.feed(frame)

    def _run(self, frame: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None, float | None]:
        start = time.perf_counter()
        with self._errors_said():
            outputs, device_ms = self._infer(frame)
        host_ms = (time.perf_counter() - start) * 1e3
        class_map, confidence = self.form.read(outputs)
        return class_map, confidence, host_ms if device_ms is None else device_ms

    @contextlib.contextmanager
    def _errors_said(self) -> Iterator[None]:
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
    reason = " ".join(str(error).split())[:300]
    return EngineError(f"{backend} failed while running: {reason}; restart the process, and check memory and driver")
