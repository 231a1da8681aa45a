"""ONNX Runtime on the CPU."""

from __future__ import annotations

import ctypes
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from edgeseg.errors import ModelError
from edgeseg.geometry import Size
from edgeseg.runtime.engines import Engine, engine_failed
from edgeseg.spec import METADATA_KEY, ModelSpec

_FATAL_ONLY = 4  # ONNX Runtime's log severity: what goes wrong is raised, and said once


class OnnxRuntimeCpu(Engine):
    """Runs a camera graph on the CPU, reading frames where they lie."""

    backend = "onnxruntime-cpu"

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.device = _processor_name()
        self._session = _session(path, threads)
        self.spec = _spec(self._session, path)
        self.frame_size = _frame_size(self._session, path)
        self._outputs = [output.name for output in self._session.get_outputs()]

    def _run(self, frame: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None, float | None]:
        try:
            outputs = self._session.run(self._outputs, {"frame": frame[np.newaxis]})
        except Exception as error:  # ONNX Runtime's own exceptions share no public base
            raise engine_failed(self.backend, error) from error
        named = dict(zip(self._outputs, outputs, strict=True))
        confidence = named.get("confidence")
        return named["class_map"][0], None if confidence is None else confidence[0], None


def _session(path: Path, threads: int | None) -> Any:
    if not os.path.isfile(path):  # unlike Path.is_file, False for a name that is too long
        raise ModelError(f"{path}: no such file; expected an ONNX file from edgeseg export")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own exceptions share no public base
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{path}: ONNX Runtime cannot load it ({reason}); export the model again") from error
    _give_memory_back()
    return session


def _give_memory_back() -> None:
    """Return what loading has freed to the system: for a 34 MB model, 50 of 250 MB that the C library would keep."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
    if trim is not None:
        trim(0)


def _spec(session: Any, path: Path) -> ModelSpec:
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ModelError(f"{path}: holds no edgeseg model spec; expected a file that edgeseg export wrote")
    return ModelSpec.from_json(text, str(path))


def _frame_size(session: Any, path: Path) -> Size:
    inputs = [(i.name, i.type, i.shape) for i in session.get_inputs()]
    name, kind, shape = inputs[0]
    is_camera_graph = (
        len(inputs) == 1
        and (name, kind) == ("frame", "tensor(uint8)")
        and len(shape) == 4
        and all(isinstance(n, int) for n in shape)
        and (shape[0], shape[3]) == (1, 3)
        and "class_map" in [output.name for output in session.get_outputs()]
    )
    if not is_camera_graph:
        raise ModelError(
            f"{path}: takes {inputs}; expected a camera graph with one uint8 input frame [1, H, W, 3] "
            f"and an output class_map; export it with edgeseg export"
        )
    return Size(shape[1], shape[2])


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return names[0] if names else platform.machine()
