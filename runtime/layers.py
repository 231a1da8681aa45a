"""Where a network's time goes, layer by layer, by ONNX Runtime's own profiler."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeseg.errors import ModelError, UsageError

_KERNEL = "_kernel_time"


@dataclass(frozen=True)
class LayerTime:
    """A node of the graph as ONNX Runtime runs it (after fusion), with its mean time in ms."""

    name: str
    operator: str
    ms: float


def layer_times(model: Path, threads: int | None = None, runs: int = 20) -> list[LayerTime]:
    """Return the layers' times, the longest first.

    Args:
        model: ONNX file with inputs of fixed size.
        threads: as for the engine.
        runs: that are averaged, after a fifth as many for warming up.

    Raises:
        ModelError: the file cannot be used.
        UsageError: ONNX Runtime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UsageError(f"--layers needs ONNX Runtime ({error}): pip install 'edgeseg[cpu]'") from error
    warm_up = max(1, runs // 5)
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "layers")
        options.log_severity_level = 4
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
            feed = {each.name: _noise(each.shape, each.type) for each in session.get_inputs()}
            for _ in range(warm_up + runs):
                session.run(None, feed)
        except Exception as error:  # ONNX Runtime's own exceptions share no public base
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"{model}: ONNX Runtime cannot profile it ({reason})") from error
        events = json.loads(Path(session.end_profiling()).read_text())
    return _averaged(events, warm_up, runs)


def _noise(shape: list[int | str], kind: str) -> object:
    random = np.random.default_rng(0)
    size = [each if isinstance(each, int) else 1 for each in shape]
    return random.integers(0, 256, size, np.uint8) if kind == "tensor(uint8)" else random.random(size, np.float32)


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


def layer_table(layers: list[LayerTime], most: int = 15) -> str:
    """Return the longest layers, and every transposed convolution, as text."""
    total = sum(layer.ms for layer in layers) or 1.0
    upsampling = [layer for layer in layers if layer.operator == "ConvTranspose"]
    shown = [layer for index, layer in enumerate(layers) if index < most or layer in upsampling]
    lines = [f"{'layer':<50}{'operator':<22}{'ms':>8}{'share':>8}"]
    lines += [f"{layer.name[-49:]:<50}{layer.operator:<22}{layer.ms:8.3f}{layer.ms / total:8.1%}" for layer in shown]
    if len(shown) < len(layers):
        rest = total - sum(layer.ms for layer in shown)
        lines.append(f"{f'{len(layers) - len(shown)} others':<72}{rest:8.3f}{rest / total:8.1%}")
    spent = sum(layer.ms for layer in upsampling)
    lines.append(f"{f'{len(upsampling)} transposed convolutions together':<72}{spent:8.3f}{spent / total:8.1%}")
    return "\n".join(lines)
