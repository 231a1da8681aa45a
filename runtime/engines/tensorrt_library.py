"""NVIDIA's TensorRT, whichever is installed: `tensorrt` 8.6 to 11 of JetPack and servers, or `tensorrt_rtx`."""

from __future__ import annotations

import importlib
import importlib.util
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from edgeseg.core.errors import EngineError, one_line
from edgeseg.runtime.engines.graph_form import Tensor
from edgeseg.runtime.machine.gpu import Gpu
from edgeseg.runtime.machine.jetpacks import no_code_for

LIBRARIES = ("tensorrt", "tensorrt_rtx")
PRODUCTS = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT-RTX"}
_DTYPES = {"FLOAT": "float32", "HALF": "float16"}


def library_names() -> list[str]:
    """Return which can be imported, best first; nothing is imported."""
    return [name for name in LIBRARIES if importlib.util.find_spec(name)]


def library_name() -> str | None:
    """Return the best that can be imported, or None."""
    return next(iter(library_names()), None)


def library(name: str | None = None) -> Any:
    """Import one, by default the best. Raises EngineError."""
    name = name or library_name()
    if name is None:
        raise EngineError("TensorRT is not installed; it comes with JetPack, elsewhere pip install tensorrt")
    try:
        return importlib.import_module(name)
    except Exception as error:  # it loads gigabytes of libraries, and says in many ways that one is missing
        reason = one_line(error, 200)
        raise EngineError(f"{name} is installed but cannot be imported ({reason}); install it anew") from error


def major_version(trt: Any) -> int:
    return int(trt.__version__.split(".")[0])


def is_rtx(trt: Any) -> bool:
    return bool(trt.__name__ == "tensorrt_rtx")


def check_gpu_code(trt: Any, gpu: Gpu) -> None:
    """Raise EngineError where this TensorRT is known to have no code for the GPU: it could not build for it."""
    reason = _unknown_to_rtx(trt, gpu) if is_rtx(trt) else no_code_for(trt.__version__, gpu.compute_capability)
    if reason:
        raise EngineError(reason)


def _unknown_to_rtx(trt: Any, gpu: Gpu) -> str | None:
    """Say that TensorRT-RTX, which is for GeForce and RTX, does not know a GPU; it has a list of those that it does."""
    known = [name.removeprefix("SM") for name in dir(trt.ComputeCapability) if name.startswith("SM")]
    if gpu.compute_capability.replace(".", "") in known:
        return None
    listed = ", ".join(f"{each[:-1]}.{each[-1]}" for each in sorted(known, key=int))
    return f"TensorRT-RTX {trt.__version__} knows no GPU of compute capability {gpu.compute_capability}: {listed}"


def creation_flags(trt: Any) -> int:
    """Return the flags of `create_network`.

    TensorRT 8 wants EXPLICIT_BATCH; 10 is told to keep the graph's own precision; 11 and RTX know nothing else.
    """
    if is_rtx(trt) or major_version(trt) > 10:
        return 0
    known = trt.NetworkDefinitionCreationFlag
    return 1 << int(known.EXPLICIT_BATCH if major_version(trt) < 10 else known.STRONGLY_TYPED)


def precision_flags(trt: Any, precision: str) -> list[str]:
    """Return the names of the builder's flags that a graph's precision needs: of 8.6 alone, errors from 10 on."""
    if is_rtx(trt) or major_version(trt) >= 10:
        return []
    return {"fp16": ["FP16"], "int8": ["INT8"]}.get(precision, [])


def tensors(found: Sequence[Any]) -> list[Tensor]:
    """Return tensors of a network (with name, dtype, shape) as ours; -1 is a dimension that is not fixed."""
    return [tensor(each.name, each.dtype, each.shape) for each in found]


def tensor(name: str, dtype: Any, shape: Sequence[int]) -> Tensor:
    return Tensor(name, _DTYPES.get(dtype.name, dtype.name.lower()), tuple(n if n >= 0 else None for n in shape))


def load_plugins(trt: Any, logger: Any) -> None:
    """Register NVIDIA's plugins, before an engine is read or a graph is parsed.

    Its parser makes plugins of some of ONNX's operators (ScatterElements, RoiAlign, InstanceNormalization), and an
    engine that holds one is read only where they are known. TensorRT-RTX has none.
    """
    register = getattr(trt, "init_libnvinfer_plugins", None)
    if register is not None:
        register(logger, "")


def make_logger(trt: Any) -> Any:
    """Return a logger that keeps what goes wrong, instead of printing it: it is said once, by our errors."""

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []
            self.warnings: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.errors.append(message)
            elif severity == trt.ILogger.WARNING:
                self.warnings.append(message)

    return Logger()


def make_profiler(trt: Any) -> Any:
    """Return a profiler whose `ms` holds milliseconds by layer, one for each frame."""

    class Profiler(trt.IProfiler):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)
            self.ms: dict[str, list[float]] = defaultdict(list)

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            self.ms[layer_name].append(ms)

    return Profiler()
