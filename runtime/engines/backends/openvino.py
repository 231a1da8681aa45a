"""OpenVINO on the CPU: for x86 vehicle computers and laptops. It runs the network; pixels and argmax are the host's."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from edgeseg.core.errors import ModelError, one_line
from edgeseg.runtime.engines.base import GraphEngine
from edgeseg.runtime.engines.graph_form import FRAME, LOGITS, PIXELS, Tensor
from edgeseg.runtime.engines.model_file import ModelFile
from edgeseg.runtime.engines.settings import EngineSettings
from edgeseg.runtime.machine.openvino_import import import_openvino
from edgeseg.runtime.machine.processor import processor

_DTYPES = {
    "f32": "float32",
    "f16": "float16",
    "u8": "uint8",
    "i32": "int32",
    "i64": "int64",
    "i8": "int8",
    "f64": "float64",
    "boolean": "bool",
}


class OpenVino(GraphEngine):
    """Computes in float32, as the export's proof did."""

    backend = "openvino"
    precision = "f32"

    @classmethod
    def missing(cls) -> str | None:
        if importlib.util.find_spec("openvino") is None:
            return "OpenVINO is not installed: pip install 'edgeseg[openvino]'"
        return None

    def __init__(self, model: ModelFile, settings: EngineSettings) -> None:
        openvino = import_openvino()
        path = model.onnx
        # Latency: one stream whose threads share each frame, as one camera needs it.
        config: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}
        config["INFERENCE_PRECISION_HINT"] = self.precision
        config["PERF_COUNT"] = settings.profiled
        if settings.threads is not None:
            config["INFERENCE_NUM_THREADS"] = settings.threads
        core = openvino.Core()
        try:
            graph = core.read_model(str(path))
            graph = _network_alone(graph) or graph
            self._adopt(model, _tensors(graph.inputs), _tensors(graph.outputs))
            graph.reshape({self.form.input.name: list(self.form.input.shape)})
            with preserve_signal_stack():
                compiled = core.compile_model(graph, "CPU", config)
        except RuntimeError as error:  # OpenVINO raises nothing narrower
            reason = one_line(error)[-200:]
            raise ModelError(f"{model.path}: OpenVINO cannot load it ({reason}); export the model again") from error
        used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()  # not every processor has bf16
        self.device = f"{processor()} ({used})"
        with preserve_signal_stack():
            self._request = compiled.create_infer_request()
        self._outputs = [compiled.output(output.name) for output in self.form.outputs]

    def profile(self, warm_up: int, runs: int) -> dict[tuple[str, str], list[float]]:
        self.warm_up(warm_up)
        found: dict[tuple[str, str], list[float]] = defaultdict(list)
        for _ in range(runs):
            self.warm_up(1)
            for layer in self._request.profiling_info:
                if layer.status == layer.Status.EXECUTED:
                    found[layer.node_name, layer.node_type].append(layer.real_time.total_seconds() * 1e3)
        return found

    def close(self) -> None:
        with preserve_signal_stack():
            self.__dict__.pop("_request", None)
            self.__dict__.pop("_outputs", None)

    def _infer(self, value: NDArray[Any]) -> tuple[Sequence[NDArray[Any]], float | None]:
        results = self._request.infer({self.form.input.name: value}, share_inputs=True)
        return [results[output] for output in self._outputs], None


class OpenVinoBfloat16(OpenVino):
    """Computes in bfloat16 where the processor has it: faster, but beyond the limits of the export's proof."""

    backend = "openvino-bf16"
    precision = "bf16"


def _network_alone(graph: Any) -> Any | None:
    """Return the network between the head and the tail of one of our camera graphs; None for any other graph.

    OpenVINO resizes planes of floats and takes an argmax over channels at six times what the same costs on the host
    (engines/graph_form.py), which was up to half of a frame. A confidence needs the tail.
    """
    openvino = import_openvino()
    named = {name: output for node in graph.get_ops() for output in node.outputs() for name in output.get_names()}
    is_ours = [node.any_name for node in graph.inputs] == [FRAME] and {PIXELS, LOGITS} <= named.keys()
    if not is_ours or len(graph.outputs) != 1:
        return None
    pixels, logits = named[PIXELS], named[LOGITS]
    parameter = openvino.opset13.parameter(pixels.shape, pixels.element_type, PIXELS)
    for reader in pixels.get_target_inputs():
        reader.replace_source_output(parameter.output(0))
    parameter.output(0).set_names({PIXELS})
    return openvino.Model([logits], [parameter], "network")


def _tensors(nodes: Sequence[Any]) -> list[Tensor]:
    found = []
    for node in nodes:
        kind = node.element_type.get_type_name()
        shape = tuple(None if n.is_dynamic else n.get_length() for n in node.partial_shape)
        found.append(Tensor(node.any_name, _DTYPES.get(kind, kind), shape))
    return found


class _Stack(ctypes.Structure):
    """stack_t of sigaltstack(2)."""

    _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextlib.contextmanager
def preserve_signal_stack() -> Iterator[None]:
    """Put this thread's alternate signal stack back in the end.

    OpenVINO's CPU plugin installs one of its own for each model and, when the model goes, the one that it found before.
    Models that do not go in the reverse order leave one that is freed, and the next signal, SIGTERM for example,
    ends the process with a segmentation fault.
    """
    library, before = ctypes.CDLL(None), _Stack()
    known = library.sigaltstack(None, ctypes.byref(before)) == 0
    try:
        yield
    finally:
        if known:
            library.sigaltstack(ctypes.byref(before), None)
