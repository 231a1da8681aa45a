"""The table of engines. A new one is one file in backends/ and one row here."""

from __future__ import annotations

from pathlib import Path

BACKENDS = {
    "tensorrt": "edgeseg.runtime.engines.backends.tensorrt:TensorRt",
    "onnxruntime-cuda": "edgeseg.runtime.engines.backends.onnxruntime_cuda:OnnxRuntimeCuda",
    "openvino": "edgeseg.runtime.engines.backends.openvino:OpenVino",
    "openvino-bf16": "edgeseg.runtime.engines.backends.openvino:OpenVinoBfloat16",
    "onnxruntime-cpu": "edgeseg.runtime.engines.backends.onnxruntime_cpu:OnnxRuntimeCpu",
}
"""Best first: the order in which `auto` tries them; on the CPU it measures which is (engines/choose.py)."""
GPU_BACKENDS = ("tensorrt", "onnxruntime-cuda")
CPU_RIVAL, CPU_REFERENCE = "openvino", "onnxruntime-cpu"
AUTO_LEAVES_OUT = ("openvino-bf16",)
"""Taken only when named: a few pixels in a thousand become others (docs/engines.md)."""
ENGINE_SUFFIXES = (".engine", ".plan", ".trt")
"""Of files that TensorRT has built."""


def is_engine(path: Path) -> bool:
    """Whether a path is named as engines are."""
    return path.suffix.lower() in ENGINE_SUFFIXES
