"""ms/frame that two people can compare: warm-up, then every frame of a source through the camera loop."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from edgeseg.runtime.engine_settings import EngineSettings
from edgeseg.runtime.engines import load_engine
from edgeseg.runtime.loop import LoopSettings, Outcome, Watcher, run
from edgeseg.runtime.source import Source

WARM_UP_FRAMES = 20
KEPT_SCENES = 30  # drawn before the start: drawing would take a core from the engine that is measured


_ENGINES = ("onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt", "tensorrt-rtx", "pycuda")
_PACKAGES = ("edgeseg", "numpy", *_ENGINES, "opencv-python")


@dataclass(frozen=True)
class BenchmarkSettings:
    """What is measured: for how long, on which engine."""

    seconds: float = 10.0
    engine: EngineSettings = field(default_factory=EngineSettings)


def benchmark(
    model: Path,
    source: Source,
    settings: BenchmarkSettings,
    stop: threading.Event,
    watch: Watcher | None = None,
    notice: Callable[[str], None] | None = None,
) -> Outcome:
    """Stream a source, over and over, through a model for `settings.seconds`.

    Raises:
        SourceError, ModelError, EngineError, UsageError.
    """
    if source.kind == "scenes":
        source = replace(source, keep=KEPT_SCENES)
    outcome = run(
        replace(source, loop=True),
        lambda: load_engine(model, settings.engine, notice),
        LoopSettings(every_frame=True, seconds=settings.seconds, warm_up_frames=WARM_UP_FRAMES),
        stop,
        watch,
        notice,
        model=str(model),
    )
    if outcome.error:
        raise outcome.error
    return outcome


def result_document(outcome: Outcome, settings: BenchmarkSettings) -> dict[str, Any]:
    """Return what `edgeseg benchmark --json` writes: the summary and where it was measured."""
    return {"summary": outcome.summary.to_dict(), "environment": environment(settings.engine.threads)}


def environment(threads: int | None) -> dict[str, Any]:
    """Return what a reader needs to know of the machine and the software to compare figures."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": threads,
        "versions": versions,
    }
