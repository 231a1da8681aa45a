"""Where a network's time goes, layer by layer, by the profiler of the engine that runs it."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import ModelError, UsageError, one_line
from edgeseg.core.json_text import read_json
from edgeseg.runtime.engines.base import GraphEngine
from edgeseg.runtime.engines.choose import load_engine
from edgeseg.runtime.engines.graph_form import Tensor, form_of
from edgeseg.runtime.engines.model_file import open_model_file
from edgeseg.runtime.engines.onnx_bytes import onnx_operators
from edgeseg.runtime.engines.settings import EngineSettings
from edgeseg.runtime.machine.onnxruntime_session import FATAL_ONLY, make_session

UPSAMPLING = "ConvTranspose"
PROFILERS = {"tensorrt": "TensorRT", "openvino": "OpenVINO", "openvino-bf16": "OpenVINO"}
"""Backends that profile themselves; the others' layers are timed by ONNX Runtime on the CPU."""
ONNX_RUNTIME = "ONNX Runtime on the CPU"
_KERNEL = "_kernel_time"


@dataclass(frozen=True)
class LayerTime:
    """A layer as an engine runs it, after fusion, with its mean time in ms; `operator` is ONNX's where it is known."""

    name: str
    operator: str
    ms: float


def profiler_of(backend: str) -> str:
    """Return whose profiler times a backend's layers."""
    return PROFILERS.get(backend, ONNX_RUNTIME)


def layer_times(model: Path, settings: EngineSettings, runs: int = 20) -> list[LayerTime]:
    """Return the layers' times, the longest first.

    Args:
        model: an ONNX file; for TensorRT an engine too.
        settings: of the engine; its backend says whose profiler it is (`profiler_of`).
        runs: that are averaged, after a fifth as many for warming up.

    Raises:
        ModelError: the file cannot be used.
        UsageError: the profiler's library is not installed.
        EngineError: the engine does not work here.
    """
    if settings.backend not in PROFILERS:
        return _by_onnx_runtime(model, settings, runs)
    plain = replace(settings, cuda_graph=False, in_flight=1, profiled=True)  # a graph that is replayed reports nothing
    with load_engine(model, plain) as engine:
        assert isinstance(engine, GraphEngine)
        times = engine.profile(max(1, runs // 5), runs)
    file = open_model_file(model, settings.spec, settings.accept_changed_model)
    operators = {} if file.manifest else onnx_operators(file.onnx)
    layers = [LayerTime(name, _operator(name, kind, operators), sum(ms) / runs) for (name, kind), ms in times.items()]
    return sorted(layers, key=lambda layer: -layer.ms)


def _operator(name: str, kind: str, operators: Mapping[str, str]) -> str:
    """Return ONNX's operator of a layer: an engine names it by the nodes that it was fused from, or by a kind."""
    fused = {operators[part] for part in name.replace(",", "+").replace(" ", "").split("+") if part in operators}
    if UPSAMPLING in fused or any(word in kind for word in ("Deconvolution", "ConvolutionBackpropData")):
        return UPSAMPLING
    if not fused and any(word in name.lower() for word in ("convtranspose", "deconv", "conv2d_transpose")):
        return UPSAMPLING
    return kind or "+".join(sorted(fused))


def _by_onnx_runtime(model: Path, settings: EngineSettings, runs: int) -> list[LayerTime]:
    try:
        import onnxruntime

        from edgeseg.runtime.engines.onnxruntime_session import tensors
    except ImportError as error:
        raise UsageError(f"--layers needs ONNX Runtime ({error}): pip install 'edgeseg[cpu]'") from error
    warm_up = max(1, runs // 5)
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "layers")
        options.log_severity_level = FATAL_ONLY
        if settings.threads is not None:
            options.intra_op_num_threads = settings.threads
        try:
            session = make_session(str(model), ["CPUExecutionProvider"], options)
            spec = open_model_file(model, settings.spec, settings.accept_changed_model).spec
            taken = form_of(tensors(session.get_inputs()), tensors(session.get_outputs()), spec, str(model)).input
            feed = {taken.name: _noise(taken)}
            for _ in range(warm_up + runs):
                session.run(None, feed)
        except ModelError:
            raise
        except Exception as error:  # ONNX Runtime's own exceptions share no public base
            reason = one_line(error, 200)
            raise ModelError(f"{model}: ONNX Runtime cannot profile it ({reason})") from error
        events = read_json(Path(session.end_profiling()), "ONNX Runtime's profile", ModelError)
    return _averaged(events, warm_up, runs)


def _noise(taken: Tensor) -> NDArray[Any]:
    random, size = np.random.default_rng(0), [int(n or 1) for n in taken.shape]
    if taken.dtype == "uint8":
        return random.integers(0, 256, size, np.uint8)
    return random.random(size, np.float32).astype(taken.dtype)


def _averaged(events: list[dict[str, object]], warm_up: int, runs: int) -> list[LayerTime]:
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for event in events:
        name, arguments = str(event.get("name", "")), event.get("args")
        if event.get("cat") == "Node" and name.endswith(_KERNEL) and isinstance(arguments, dict):
            times[name.removesuffix(_KERNEL), str(arguments.get("op_name", ""))].append(float(str(event["dur"])) / 1e3)
    layers = [
        LayerTime(name, operator, sum(ms[len(ms) * warm_up // (warm_up + runs) :]) / runs)
        for (name, operator), ms in times.items()
    ]
    return sorted(layers, key=lambda layer: -layer.ms)


def layer_table(layers: Sequence[LayerTime], most: int = 15) -> str:
    """Return the longest layers, and every transposed convolution, as text."""
    total = sum(layer.ms for layer in layers) or 1.0
    upsampling = [layer for layer in layers if layer.operator == UPSAMPLING]
    shown = [layer for index, layer in enumerate(layers) if index < most or layer in upsampling]
    lines = [f"{'layer':<50}{'operator':<22}{'ms':>8}{'share':>8}"]
    lines += [f"{layer.name[-49:]:<50}{layer.operator:<22}{layer.ms:8.3f}{layer.ms / total:8.1%}" for layer in shown]
    if len(shown) < len(layers):
        rest = total - sum(layer.ms for layer in shown)
        lines.append(f"{f'{len(layers) - len(shown)} others':<72}{rest:8.3f}{rest / total:8.1%}")
    spent = sum(layer.ms for layer in upsampling)
    lines.append(f"{f'{len(upsampling)} transposed convolutions together':<72}{spent:8.3f}{spent / total:8.1%}")
    return "\n".join(lines)
