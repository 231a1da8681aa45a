"""How an engine is chosen and run. Nothing heavy is imported here: the commands' --help reads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeseg.errors import UsageError
from edgeseg.setting import check_settings, setting

BACKENDS = {
    "tensorrt": "edgeseg.runtime.tensorrt_engine:TensorRt",
    "onnxruntime-cuda": "edgeseg.runtime.onnxruntime_cuda:OnnxRuntimeCuda",
    "openvino": "edgeseg.runtime.openvino_cpu:OpenVino",
    "openvino-bf16": "edgeseg.runtime.openvino_cpu:OpenVinoBfloat16",
    "onnxruntime-cpu": "edgeseg.runtime.onnxruntime_cpu:OnnxRuntimeCpu",
}
"""Best first: the order in which `auto` tries them; on the CPU it measures which is (edgeseg.runtime.engine_race)."""
GPU_BACKENDS = ("tensorrt", "onnxruntime-cuda")
CPU_RIVAL, CPU_REFERENCE = "openvino", "onnxruntime-cpu"
AUTO_LEAVES_OUT = ("openvino-bf16",)
"""Taken only when named: a few pixels in a thousand become others (docs/engines.md)."""


@dataclass(frozen=True)
class EngineSettings:
    """How a model is run. Raises UsageError for a value that makes no sense.

    Attributes:
        backend: a name in BACKENDS, or `auto` for the best that works.
        threads: host threads for the network; None lets the engine choose.
        spec: a spec file, for a model that holds none.
        profiled: the engine can tell what each layer takes (edgeseg.runtime.layers), which costs time itself.
    """

    backend: str = setting("auto", "auto or one engine", choices=("auto", *BACKENDS))
    require_gpu: bool = setting(False, "fail where no engine works on a GPU, instead of running on the CPU")
    min_fps: float = setting(0.0, "fail where the warm-up reaches fewer frames a second", (0, 10_000))
    in_flight: int = setting(1, "frames in a TensorRT engine at a time; 2 overlap copying with computing", (1, 2))
    cuda_graph: bool = setting(True, "launch the work of a frame as one CUDA graph, where that can be")
    tf32: bool = setting(False, "round float32 products on the GPU to TF32: faster, not what the export has proven")
    workspace_mb: int = setting(0, "GPU memory that an engine built now may use, 0 for no limit", (0, 1_000_000))
    threads: int | None = None
    spec: Path | None = None
    profiled: bool = False

    def __post_init__(self) -> None:
        check_settings(self)
        if self.require_gpu and self.backend not in ("auto", *GPU_BACKENDS):
            raise UsageError(
                f"backend {self.backend} with a GPU required; expected auto or {' or '.join(GPU_BACKENDS)}"
            )
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"{self.threads} threads; expected at least 1")
