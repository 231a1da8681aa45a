"""How an engine is chosen and run. Nothing heavy is imported here: the commands' --help reads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeseg.errors import UsageError
from edgeseg.setting import check_settings, setting

BACKENDS = {
    "openvino": "edgeseg.runtime.openvino_cpu:OpenVino",
    "openvino-bf16": "edgeseg.runtime.openvino_cpu:OpenVinoBfloat16",
    "onnxruntime-cpu": "edgeseg.runtime.onnxruntime_cpu:OnnxRuntimeCpu",
}
"""Best first: the order in which `auto` tries them."""
AUTO_LEAVES_OUT = ("openvino-bf16",)
"""Taken only when named: a few pixels in a thousand become others (docs/engines.md)."""


@dataclass(frozen=True)
class EngineSettings:
    """How a model is run. Raises UsageError for a value that makes no sense.

    Attributes:
        backend: a name in BACKENDS, or `auto` for the best that works.
        threads: host threads for the network; None lets the engine choose.
        spec: a spec file, for a model that holds none.
    """

    backend: str = setting("auto", "auto or one engine", choices=("auto", *BACKENDS))
    threads: int | None = None
    spec: Path | None = None

    def __post_init__(self) -> None:
        check_settings(self)
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"{self.threads} threads; expected at least 1")
