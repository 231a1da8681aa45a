"""How an engine is chosen, run and built. Nothing heavy is imported here: the commands' --help reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from edgeseg.core.errors import UsageError
from edgeseg.core.numbers import Range, shortened
from edgeseg.core.settings import check_settings, setting
from edgeseg.runtime.engines.registry import BACKENDS, GPU_BACKENDS

THREADS = Range(1, 1024, whole=True)


@dataclass(frozen=True)
class EngineSettings:
    """How a model is run. Raises UsageError for a value that makes no sense.

    Attributes:
        backend: a name in BACKENDS, or `auto` for the best that works.
        threads: host threads for the network; None lets the engine choose.
        spec: a spec file, for a model that holds none.
        profiled: the engine can tell what each layer takes (engines/layer_times.py), which costs time itself.
        embedded: other threads of this process may use CUDA, as in a program of one's own: ONNX Runtime records no
            CUDA graph then, for in its way of recording a call of another thread is an error there (906). None: not,
            but in a program of one's own: within edgeseg.load and edgeseg.runtime.stream.
    """

    backend: str = setting("auto", "auto or one engine", choices=("auto", *BACKENDS))
    require_gpu: bool = setting(False, "fail where no engine works on a GPU, instead of running on the CPU")
    min_fps: float = setting(0.0, "fail where the warm-up reaches fewer frames a second", (0, 10_000))
    in_flight: int = setting(1, "frames in a TensorRT engine at a time; 2 overlap copying with computing", (1, 2))
    cuda_graph: bool = setting(True, "launch the work of a frame as one CUDA graph, where that can be")
    tf32: bool = setting(False, "round float32 products on the GPU to TF32: faster, not what the export has proven")
    workspace_mb: int = setting(0, "GPU memory that an engine built now may use, 0 for no limit", (0, 1_000_000))
    accept_changed_model: bool = setting(False, "run a graph that was changed since the export has proven it")
    threads: int | None = None
    spec: Path | None = None
    profiled: bool = False
    embedded: bool | None = None

    def __post_init__(self) -> None:
        check_settings(self)
        if self.require_gpu and self.backend not in ("auto", *GPU_BACKENDS):
            raise UsageError(
                f"backend {self.backend} with a GPU required; expected auto or {' or '.join(GPU_BACKENDS)}"
            )
        if self.threads is not None and self.threads not in THREADS:
            raise UsageError(f"threads = {shortened(self.threads)}; expected {THREADS}")


@dataclass(frozen=True)
class BuildSettings:
    """How an engine is built. Raises UsageError for a value that makes no sense."""

    workspace_mb: int = setting(0, "GPU memory that layers may use while they run, 0 for no limit", (0, 1_000_000))
    tf32: bool = setting(False, "round float32 products to TF32: faster, but beyond what the export has proven")
    timing_cache: str = setting("", "file that keeps measured times between builds; none by default with TensorRT-RTX")
    compute_capability: str = setting("", "of TensorRT-RTX without a GPU here: 8.6 or 8.6,8.9; any by default")

    def __post_init__(self) -> None:
        check_settings(self)
        if self.compute_capability and not re.fullmatch(r"\d+\.\d(,\d+\.\d)*", self.compute_capability):
            raise UsageError(f"compute capability {self.compute_capability!r}; expected 8.6, or a list as 8.6,8.9")


def for_a_program(settings: EngineSettings) -> EngineSettings:
    """Return settings for an engine beside a program's own code, unless they say what is beside it."""
    return settings if settings.embedded is not None else replace(settings, embedded=True)


def take_engine_settings(options: dict[str, Any]) -> EngineSettings:
    """Take the options of `engine_options` out of a command's; those that the command left out have their defaults."""
    return EngineSettings(
        **{each.name: options.pop(each.name) for each in fields(EngineSettings) if each.name in options}
    )
