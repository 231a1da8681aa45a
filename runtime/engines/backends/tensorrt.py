"""TensorRT on the GPU; its engine is built first where there is none that holds."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import EngineError, ModelError
from edgeseg.runtime.engines.base import GraphEngine
from edgeseg.runtime.engines.cache import building_alone, engine_place
from edgeseg.runtime.engines.cuda import CudaDevice, Lane, no_cuda
from edgeseg.runtime.engines.device_buffers import plan_buffers
from edgeseg.runtime.engines.graph_form import Tensor
from edgeseg.runtime.engines.manifest import EngineCard, why_stale
from edgeseg.runtime.engines.model_file import ModelFile
from edgeseg.runtime.engines.settings import BuildSettings, EngineSettings
from edgeseg.runtime.engines.tensorrt_builder import engine_key
from edgeseg.runtime.engines.tensorrt_library import library, library_name, make_logger, make_profiler, tensor
from edgeseg.runtime.machine.gpu import Gpu, find_gpu

_COMMAND = "edgeseg.runtime.commands.engine"


class TensorRt(GraphEngine):
    """Runs an engine with pinned or mapped buffers, a stream for each frame in flight and a CUDA graph."""

    backend = "tensorrt"

    @classmethod
    def missing(cls) -> str | None:
        return no_cuda() or (None if library_name() else "TensorRT is not installed; it comes with JetPack")

    def __init__(self, model: ModelFile, settings: EngineSettings) -> None:
        self._lanes: deque[_TrtLane] = deque()
        self._waiting: deque[_TrtLane] = deque()
        trt, gpu = library(), find_gpu()
        path = _checked(model, trt, gpu) if model.card else _built_if_stale(model, settings, trt, gpu)
        self.device = gpu.name
        self._logger = make_logger(trt)
        with contextlib.ExitStack() as stack:
            device = CudaDevice()
            stack.callback(device.close)
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
            lanes = [Lane(device, plans, read) for _ in range(self.in_flight)]
            for lane in lanes:
                stack.callback(lane.close)
            stack.callback(self._let_go)  # TensorRT's objects go before the memory and the context
            self._lanes.extend(_TrtLane(lane, self._engine, self._last_error) for lane in lanes)
            self._wants_graph = settings.cuda_graph
            self._held = stack.pop_all()

    def warm_up(self, runs: int) -> None:
        """Run grey frames; after them the work of a frame is recorded as a CUDA graph."""
        super().warm_up(max(len(self._lanes), runs))
        if self._wants_graph:
            for lane in self._lanes:
                lane.record()
            super().warm_up(len(self._lanes))

    def profile(self, warm_up: int, runs: int) -> dict[tuple[str, str], list[float]]:
        self.warm_up(warm_up)
        profiler = make_profiler(library())
        self._lanes[0].report_to(profiler)
        self.warm_up(runs)
        return {(name, ""): ms for name, ms in profiler.ms.items()}

    def close(self) -> None:
        self._held.close()

    def _infer(self, value: NDArray[Any]) -> tuple[Sequence[NDArray[Any]], float | None]:
        lane = self._lanes[0]
        lane.submit(value)
        return lane.wait()

    def _begin(self, prepared: NDArray[Any]) -> None:
        lane = self._lanes[0]
        self._lanes.rotate(-1)
        with self._errors_said():
            lane.submit(prepared)
        self._waiting.append(lane)

    def _end(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None, float | None]:
        lane = self._waiting.popleft()
        with self._errors_said():
            outputs, device_ms = lane.wait()
        class_map, confidence = self.form.read(outputs)
        return class_map, confidence, device_ms

    def _let_go(self) -> None:
        self._lanes.clear()
        self._waiting.clear()
        self._engine = self._runtime = None

    def _last_error(self) -> str:
        return " ".join((self._logger.errors or ["no reason given"])[-1].split())[:200]


class _TrtLane:
    """An execution context over a lane: a context runs one frame at a time."""

    def __init__(self, lane: Lane, engine: Any, last_error: Any) -> None:
        self._lane, self._last_error = lane, last_error
        self._context = engine.create_execution_context()
        if self._context is None:
            raise EngineError(f"TensorRT makes no execution context ({last_error()}); check the GPU's free memory")
        for name, address in lane.addresses.items():
            if not self._context.set_tensor_address(name, address):
                raise EngineError(f"TensorRT takes no memory for {name} ({last_error()})")

    def submit(self, value: NDArray[Any]) -> None:
        self._lane.submit(value, self._compute)

    def wait(self) -> tuple[list[NDArray[Any]], float]:
        return self._lane.wait()

    def report_to(self, profiler: Any) -> None:
        """Have TensorRT tell what each layer took, which makes it wait for each frame."""
        self._context.profiler = profiler

    def record(self) -> None:
        with contextlib.suppress(EngineError):  # a graph that cannot be recorded runs as it did
            self._lane.capture(self._compute)

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
    card = model.card
    assert card is not None
    version = (card.key.library, card.key.version)
    if version != (trt.__name__, trt.__version__) or not card.key.fits(gpu):
        raise ModelError(
            f"{model.path}: built by {card.key.library} {card.key.version} for {card.key.gpu}, compute capability "
            f"{card.key.compute_capability}; here are {trt.__name__} {trt.__version__} and {gpu}: build it here"
        )
    return model.path


def _built_if_stale(model: ModelFile, settings: EngineSettings, trt: Any, gpu: Gpu) -> Path:
    """Return the engine of an ONNX file, built now if there is none that holds.

    In a process of its own: a build takes hundreds of megabytes, and a crash of the library is an error message.
    """
    build = BuildSettings(workspace_mb=settings.workspace_mb, tf32=settings.tf32)
    key = engine_key(model, build, trt, gpu)
    path = engine_place(model.path, key)
    if why_stale(path, key) is None:
        return path
    command = [sys.executable, "-m", _COMMAND, "build", str(model.path), "--out", str(path)]
    command += ["--workspace-mb", str(build.workspace_mb), "--tf32" if build.tf32 else "--no-tf32"]
    command += ["--spec", str(settings.spec)] if settings.spec else []
    with building_alone(path):
        if why_stale(path, key) is None:  # another process has built it meanwhile
            return path
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=None)
    if done.returncode:
        raise EngineError(f"{model.path}: no engine was built (exit code {done.returncode}, the reason is above)")
    EngineCard.read(path)
    return path
