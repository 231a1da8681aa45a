"""TensorRT on the GPU; its engine is built first where there is none that holds."""

from __future__ import annotations

import contextlib
import subprocess
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import EngineError, ModelError, one_line
from edgeseg.runtime.engines.base import GraphEngine
from edgeseg.runtime.engines.cache import build_lock, engine_path
from edgeseg.runtime.engines.cuda import CudaDevice, InferenceSlot, no_cuda
from edgeseg.runtime.engines.device_buffers import plan_buffers
from edgeseg.runtime.engines.graph_form import Tensor
from edgeseg.runtime.engines.manifest import EngineManifest, why_stale
from edgeseg.runtime.engines.model_file import ModelFile
from edgeseg.runtime.engines.settings import BuildSettings, EngineSettings
from edgeseg.runtime.engines.tensorrt_builder import engine_key
from edgeseg.runtime.engines.tensorrt_library import (
    check_gpu_code,
    library,
    library_name,
    load_plugins,
    make_logger,
    make_profiler,
    tensor,
)
from edgeseg.runtime.machine.child import run_child
from edgeseg.runtime.machine.gpu import Gpu, find_gpu

_COMMAND = "edgeseg.runtime.commands.engine"


class TensorRt(GraphEngine):
    """Runs an engine with pinned or mapped buffers, a stream for each frame in flight and a CUDA graph."""

    backend = "tensorrt"

    @classmethod
    def missing(cls) -> str | None:
        return no_cuda() or (None if library_name() else "TensorRT is not installed; it comes with JetPack")

    def __init__(self, model: ModelFile, settings: EngineSettings) -> None:
        self._slots: deque[_TrtSlot] = deque()
        self._waiting: deque[_TrtSlot] = deque()
        trt, gpu = library(), find_gpu()
        check_gpu_code(trt, gpu)
        path = _checked(model, trt, gpu) if model.manifest else _built_if_stale(model, settings, trt, gpu)
        self.device = gpu.name
        self._logger = make_logger(trt)
        with contextlib.ExitStack() as stack:
            device = CudaDevice()
            stack.callback(device.close)
            load_plugins(trt, self._logger)
            self._runtime = trt.Runtime(self._logger)
            self._engine = self._runtime.deserialize_cuda_engine(path.read_bytes())
            if self._engine is None:
                raise ModelError(
                    f"{path}: TensorRT cannot load it ({self._last_error()}); delete it and build it again"
                )
            inputs, outputs = _io(trt, self._engine)
            self._adopt(model, inputs, outputs)
            plans = plan_buffers(self.form, outputs, gpu.integrated, str(path))
            read = [output.name for output in self.form.outputs]
            self.in_flight = settings.in_flight
            stack.callback(self._release)  # TensorRT's objects go before the context
            for _ in range(self.in_flight):
                slot = InferenceSlot(device, plans, read)
                stack.callback(slot.close)
                stack.callback(self._drop_contexts)  # and before the memory that they were given
                self._slots.append(_TrtSlot(slot, self._engine, self._last_error))
            self._wants_graph = settings.cuda_graph
            self._held = stack.pop_all()

    def warm_up(self, runs: int) -> None:
        """Run grey frames; after them the work of a frame is recorded as a CUDA graph."""
        super().warm_up(max(len(self._slots), runs))
        if self._wants_graph:
            for slot in self._slots:
                slot.record()
            super().warm_up(len(self._slots))

    def profile(self, warm_up: int, runs: int) -> dict[tuple[str, str], list[float]]:
        self.warm_up(warm_up)
        profiler = make_profiler(library())
        self._slots[0].report_to(profiler)
        self.warm_up(runs)
        return {(name, ""): ms for name, ms in profiler.ms.items()}

    def close(self) -> None:
        self._held.close()

    def _infer(self, value: NDArray[Any]) -> tuple[Sequence[NDArray[Any]], float | None]:
        slot = self._slots[0]
        slot.submit(value)
        return slot.wait()

    def _begin(self, prepared: NDArray[Any]) -> None:
        slot = self._slots[0]
        self._slots.rotate(-1)
        with self._translate_library_errors():
            slot.submit(prepared)
        self._waiting.append(slot)

    def _end(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None, float | None]:
        slot = self._waiting.popleft()
        with self._translate_library_errors():
            outputs, device_ms = slot.wait()
        class_map, confidence = self.form.read(outputs)
        return class_map, confidence, device_ms

    def _drop_contexts(self) -> None:
        self._slots.clear()
        self._waiting.clear()

    def _release(self) -> None:
        self._engine = self._runtime = None

    def _last_error(self) -> str:
        return one_line((self._logger.errors or ["no reason given"])[-1], 200)


class _TrtSlot:
    """An execution context over a slot: a context runs one frame at a time."""

    def __init__(self, slot: InferenceSlot, engine: Any, last_error: Any) -> None:
        self._slot, self._last_error = slot, last_error
        self._context = engine.create_execution_context()
        if self._context is None:
            raise EngineError(f"TensorRT makes no execution context ({last_error()}); check the GPU's free memory")
        for name, address in slot.addresses.items():
            if not self._context.set_tensor_address(name, address):
                raise EngineError(f"TensorRT takes no memory for {name} ({last_error()})")

    def submit(self, value: NDArray[Any]) -> None:
        self._slot.submit(value, self._compute)

    def wait(self) -> tuple[list[NDArray[Any]], float]:
        return self._slot.wait()

    def report_to(self, profiler: Any) -> None:
        """Have TensorRT tell what each layer took, which makes it wait for each frame."""
        self._context.profiler = profiler

    def record(self) -> None:
        with contextlib.suppress(EngineError):  # a graph that cannot be recorded runs as it did
            self._slot.capture(self._compute)

    def _compute(self, stream: int) -> None:
        if not self._context.execute_async_v3(stream):
            raise EngineError(f"TensorRT could not run ({self._last_error()}); restart the process")


def _io(trt: Any, engine: Any) -> tuple[list[Tensor], list[Tensor]]:
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    found = {name: tensor(name, engine.get_tensor_dtype(name), tuple(engine.get_tensor_shape(name))) for name in names}
    is_input = {name: engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT for name in names}
    return [found[name] for name in names if is_input[name]], [found[name] for name in names if not is_input[name]]


def _checked(model: ModelFile, trt: Any, gpu: Gpu) -> Path:
    """Return the path of an engine that was given as such, if it holds here."""
    assert model.manifest is not None
    key = model.manifest.key
    if (key.library, key.version) != (trt.__name__, trt.__version__) or not key.fits(gpu):
        raise ModelError(
            f"{model.path}: built by {key.library} {key.version} for {key.gpu}, compute capability "
            f"{key.compute_capability}; here are {trt.__name__} {trt.__version__} and {gpu}: build it here"
        )
    return model.path


def _built_if_stale(model: ModelFile, settings: EngineSettings, trt: Any, gpu: Gpu) -> Path:
    """Return the engine of an ONNX file, built now if there is none that holds.

    In a process of its own: a build takes hundreds of megabytes, and a crash of the library is an error message.
    """
    build = BuildSettings(workspace_mb=settings.workspace_mb, tf32=settings.tf32)
    key = engine_key(model, build, trt, gpu)
    path = engine_path(model.path, key)
    if why_stale(path, key) is None:
        return path
    arguments = [str(model.path), "--out", str(path)]
    arguments += ["--workspace-mb", str(build.workspace_mb), "--tf32" if build.tf32 else "--no-tf32"]
    arguments += ["--spec", str(settings.spec)] if settings.spec else []
    arguments += ["--accept-changed-model"] if settings.accept_changed_model else []
    with build_lock(path):
        if why_stale(path, key) is None:  # another process has built it meanwhile
            return path
        done = run_child(_COMMAND, "build", *arguments, stdout=subprocess.DEVNULL, stderr=None)
    if done.returncode:
        raise EngineError(f"{model.path}: no engine was built (exit code {done.returncode}, the reason is above)")
    EngineManifest.read(path)
    return path
