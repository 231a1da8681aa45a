"""Which engine runs a model: the one that was named, or the best that works here.

Which of two engines on the CPU is the faster one depends on the model (docs/engines.md), so it is measured.
"""

from __future__ import annotations

import importlib
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeseg.core.errors import EdgesegError, EngineError, ModelError, UsageError, with_type
from edgeseg.core.spec import guesses_line
from edgeseg.runtime.engines.base import Engine, GraphEngine
from edgeseg.runtime.engines.model_file import ModelFile, open_model_file
from edgeseg.runtime.engines.registry import AUTO_LEAVES_OUT, BACKENDS, CPU_REFERENCE, CPU_RIVAL, GPU_BACKENDS
from edgeseg.runtime.engines.settings import EngineSettings

ROUNDS = 5
WARM_UPS = 2
PAUSE_S = 0.02  # ONNX Runtime's threads spin for a while after their work, in the other's way
CLEARLY = 1.1
"""A lead that noise does not give: who is taken must not change from start to start."""


def open_engine(
    path: Path,
    backend: str = "auto",
    threads: int | None = None,
    notice: Callable[[str], None] | None = None,
    **settings: Any,
) -> Engine:
    """Load a model into an engine: `load_engine` with settings by name."""
    return load_engine(path, EngineSettings(backend=backend, threads=threads, **settings), notice)


def load_engine(
    path: Path,
    settings: EngineSettings,
    notice: Callable[[str], None] | None = None,
    names_backend: bool = True,
) -> Engine:
    """Load a model into an engine.

    Args:
        path: an ONNX file: a camera graph that `edgeseg export` wrote, or any network with a spec.
        settings: which backend, and how.
        notice: told what a user must know: with the backend `auto` which were passed over and why, of a graph changed
            since its proof, and what of a foreign model's spec is guessed; that comes as a UserWarning where there is
            no notice.
        names_backend: whether `auto` tells it which backend it took.

    Raises:
        ModelError: the file cannot be used.
        EngineError: the backend does not work here.
        UsageError: none does.
    """
    model = open_model_file(path, settings.spec, settings.accept_changed_model)
    if model.remark and notice:
        notice(model.remark)
    guesses = guesses_line(model.spec)
    if guesses and notice:
        notice(guesses)
    elif guesses:
        warnings.warn(guesses, stacklevel=3)
    if settings.backend == "auto":
        engine = _best(model, settings, notice if notice and names_backend else lambda text: None)
    else:
        kind = backend_class(settings.backend)
        reason = kind.missing()
        if reason:
            raise EngineError(f"backend {settings.backend}: {reason}")
        engine = _made(kind, model, settings)
    engine.min_fps = settings.min_fps
    return engine


def backend_class(backend: str) -> type[GraphEngine]:
    """Return the class of a backend. Raises ModuleNotFoundError where its library is not installed."""
    module, _, name = BACKENDS[backend].partition(":")
    kind: type[GraphEngine] = getattr(importlib.import_module(module), name)
    return kind


def _made(kind: type[GraphEngine], model: ModelFile, settings: EngineSettings) -> Engine:
    """Make an engine; whatever a library raises meanwhile is one line.

    Raises:
        ModelError, EngineError: as the engine has it.
        EngineError: its library failed.
        ModuleNotFoundError: it is not installed.
    """
    try:
        return kind(model, settings)
    except (EdgesegError, ModuleNotFoundError):
        raise
    except Exception as error:  # pycuda's, CUDA's and TensorRT's share no base
        reason = with_type(error, 300)
        raise EngineError(f"{kind.backend} cannot be started: {reason}; check driver, libraries and memory") from error


def _best(model: ModelFile, settings: EngineSettings, notice: Callable[[str], None]) -> Engine:
    """Return the first engine that works, on the CPU the faster one, and say why those before it do not."""
    passed_over: list[str] = []
    last: EdgesegError | None = None
    for backend in candidates(model, settings):
        try:
            kind = backend_class(backend)
            reason = kind.missing()
            if reason is None:
                engine: Engine = _made(kind, model, settings)
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
    if settings.require_gpu or model.manifest:
        raise EngineError(f"a GPU is required, and no engine works on one: {'; '.join(passed_over)}")
    raise UsageError(f"no engine works here: {'; '.join(passed_over)}; pip install 'edgeseg[cpu]' brings one")


def _against_reference(rival: Engine, model: ModelFile, settings: EngineSettings) -> tuple[Engine, str]:
    """Return the engine, or ONNX Runtime's where it is not clearly faster than that, and what they take."""
    try:
        kind = backend_class(CPU_REFERENCE)
        if kind.missing() is not None:
            return rival, ""
        reference = _made(kind, model, settings)
    except (ModelError, EngineError, ModuleNotFoundError):
        return rival, ""
    engine, times = pick_faster(reference, rival)
    return engine, f" ({times})"


def candidates(model: ModelFile, settings: EngineSettings) -> Sequence[str]:
    """Return the backends that may run a model, in the order in which they are tried."""
    if settings.backend != "auto":
        return (settings.backend,)
    if model.manifest:
        return ("tensorrt",)  # an engine runs nowhere else
    known = [backend for backend in BACKENDS if backend in GPU_BACKENDS or not settings.require_gpu]
    # OpenVINO's own int8 is beyond what the export has proven (docs/engines.md), so it is the last resort.
    return sorted(
        (backend for backend in known if backend not in AUTO_LEAVES_OUT),
        key=lambda backend: backend == CPU_RIVAL and model.spec.precision == "int8",
    )


def pick_faster(reference: Engine, rival: Engine) -> tuple[Engine, str]:
    """Time two engines in turns, close the slower one, and return the other with a text that says why.

    The reference is kept unless the rival is clearly faster, by 10 %.

    Raises:
        EngineError: one of them failed; both are closed.
    """
    try:
        times = _times(reference, rival)
    except BaseException:
        reference.close()
        rival.close()
        raise
    reference_ms, rival_ms = (min(each) * 1e3 for each in times)  # what else runs only ever adds to a time
    chosen, other = (rival, reference) if reference_ms >= CLEARLY * rival_ms else (reference, rival)
    other.close()
    return chosen, f"{reference.backend} {reference_ms:.1f} ms a frame, {rival.backend} {rival_ms:.1f}"


def _times(*engines: Engine) -> list[list[float]]:
    times: list[list[float]] = [[] for _ in engines]
    frame = np.full((*engines[0].frame_size, 3), 127, np.uint8)
    for turn in range(WARM_UPS + ROUNDS):
        for engine, seconds in zip(engines, times, strict=True):
            time.sleep(PAUSE_S)
            start = time.perf_counter()
            engine.run(frame)
            if turn >= WARM_UPS:
                seconds.append(time.perf_counter() - start)
    return times
