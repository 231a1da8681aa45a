"""Stand-ins for TensorRT, a GPU and its memory: what the engine's own code does with them can be run without any.

The network is a camera graph whose class is the frame's first channel modulo 3, at the place of the same index.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeseg.runtime.engines.backends import tensorrt as tensorrt_engine
from edgeseg.runtime.engines.device_buffers import BufferPlan
from edgeseg.runtime.engines.manifest import EngineManifest, file_sha256, manifest_path
from edgeseg.runtime.engines.model_file import open_model_file
from edgeseg.runtime.engines.settings import BuildSettings
from edgeseg.runtime.engines.tensorrt_builder import engine_key
from edgeseg.runtime.machine.gpu import Gpu
from tests.helpers.colour_model import VIDEO_SIZE

GPU = Gpu("Orin", "8.7", 8, 8192, integrated=True)
STREAM = 0x77
LAYERS = {"conv1 + relu1": 2.0, "up8": 5.0, "Reformatting CopyNode for frame": 0.5}
IO = {"frame": (1, *VIDEO_SIZE, 3), "class_map": (1, 32, 64)}


class TensorIOMode(enum.Enum):
    INPUT, OUTPUT = 1, 2


class ILogger:
    ERROR, INTERNAL_ERROR, WARNING = "error", "internal", "warning"


class IProfiler:
    pass


class Context:
    """Computes on arrays that `InferenceSlot` holds; tells its profiler each layer of each frame."""

    def __init__(self) -> None:
        self.addresses: dict[str, int] = {}
        self.profiler: Any = None

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == STREAM
        frame, out = (InferenceSlot.memory[self.addresses[name]] for name in IO)
        out.ravel()[:] = frame.ravel()[: out.size * 3 : 3] % 3
        for name, ms in LAYERS.items():
            if self.profiler is not None:
                self.profiler.report_layer_time(name, ms)
        return True


class Engine:
    num_io_tensors = len(IO)

    def get_tensor_name(self, index: int) -> str:
        return list(IO)[index]

    def get_tensor_dtype(self, name: str) -> Any:
        return SimpleNamespace(name="UINT8")

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return IO[name]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name == "frame" else TensorIOMode.OUTPUT

    def create_execution_context(self) -> Context:
        return Context()


class Runtime:
    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def deserialize_cuda_engine(self, content: bytes) -> Engine | None:
        """An engine that holds a plugin: read only where these are registered."""
        return Engine() if content == b"engine" and self._logger in REGISTERED else None


REGISTERED: list[object] = []
"""The loggers with which the plugins were registered."""


def init_libnvinfer_plugins(logger: object, namespace: str) -> bool:
    REGISTERED.append(logger)
    return True


TRT = SimpleNamespace(
    __name__="tensorrt",
    __version__="10.3.0",
    ILogger=ILogger,
    IProfiler=IProfiler,
    TensorIOMode=TensorIOMode,
    Runtime=Runtime,
    init_libnvinfer_plugins=init_libnvinfer_plugins,
)


class InferenceSlot:
    """As edgeseg.runtime.engines.cuda.InferenceSlot, in the host's memory."""

    memory: ClassVar[dict[int, NDArray[Any]]] = {}

    def __init__(self, device: object, plans: Sequence[BufferPlan], read: Sequence[str]) -> None:
        arrays = {plan.name: np.zeros([int(n) for n in plan.shape], plan.dtype) for plan in plans}
        self.addresses = {name: id(array) for name, array in arrays.items()}
        self.memory.update({id(array): array for array in arrays.values()})
        self._input, self._read = arrays["frame"], [arrays[name] for name in read]
        self.recorded = False

    def submit(self, value: NDArray[Any], compute: Callable[[int], None]) -> None:
        np.copyto(self._input, value)
        compute(STREAM)

    def wait(self) -> tuple[list[NDArray[Any]], float]:
        return [each.copy() for each in self._read], 1.0

    def capture(self, compute: Callable[[int], None]) -> None:
        self.recorded = True

    def close(self) -> None:
        for address in self.addresses.values():
            self.memory.pop(address, None)


class Device:
    def close(self) -> None:
        pass


def use(monkeypatch: pytest.MonkeyPatch, onnx: Path) -> Path:
    """Put the stand-ins where TensorRT would be, an engine that holds beside the ONNX file, and return its path."""
    for name, value in {
        "library": lambda: TRT, "library_name": lambda: "tensorrt", "no_cuda": lambda: None, "find_gpu": lambda: GPU,
        "CudaDevice": Device, "InferenceSlot": InferenceSlot,
    }.items():  # fmt: skip
        monkeypatch.setattr(tensorrt_engine, name, value)
    REGISTERED.clear()
    model, engine = open_model_file(onnx), onnx.with_suffix(".engine")
    engine.write_bytes(b"engine")
    key = engine_key(model, BuildSettings(), TRT, GPU)
    manifest_path(engine).write_text(EngineManifest(key, file_sha256(engine), model.spec).to_json())
    return engine
