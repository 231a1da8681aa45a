"""Golden frames: a few pictures with the masks that the model gives here, and an engine on the device must give."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np

from edgeseg.core.errors import UsageError
from edgeseg.core.files import write_whole
from edgeseg.core.json_text import parse_json
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.engines.choose import load_engine
from edgeseg.runtime.engines.settings import EngineSettings
from edgeseg.runtime.loop import run
from edgeseg.runtime.settings import LoopSettings
from edgeseg.runtime.sinks.kinds.recording import Recording
from edgeseg.runtime.sources.addresses import parse_source

REFERENCE = "onnxruntime-cpu"
"""What makes the masks: the engine that the export has compared with the Keras model."""


def record_golden(source: str, frames: int, model: Path, spec: ModelSpec, folder: Path) -> int:
    """Record golden frames as `edgeseg-camera --record` does, without times, which are of this computer.

    Args:
        source: a source URI that has an end or is `scenes://`; no camera.
        frames: how many, from its beginning.
        model: the ONNX file, with its spec in it or beside it.
        spec: the model's.
        folder: where the recording goes; new.

    Returns:
        How many classes the masks show.

    Raises:
        UsageError, SourceError, ModelError, EngineError: what keeps it from being recorded.
    """
    parsed = parse_source(_with_size(source, spec))
    if parsed.is_camera:
        raise UsageError(f"golden frames from {parsed.uri}: a camera's are gone; record some pictures and give those")
    settings = LoopSettings(every_frame=True, frames=frames, outputs=(f"record://{folder}",))
    outcome = run(parsed, lambda: load_engine(model, EngineSettings(backend=REFERENCE)), settings, threading.Event())
    if outcome.error:
        raise outcome.error
    if outcome.failures:
        raise UsageError(outcome.failures[0])
    _drop_times(folder / "records.jsonl")
    return len({int(one) for frame in Recording.read(folder) for one in np.unique(frame.class_map())})


def _with_size(source: str, spec: ModelSpec) -> str:
    """Have the drawn drive in the size that the model takes, and its frames a second apart, so that they differ."""
    size = spec.camera_size or spec.input_size
    return f"scenes://?size={size}&fps=1" if source == "scenes://" else source


def _drop_times(records: Path) -> None:
    lines = []
    for line in records.read_text().splitlines():
        record = parse_json(line, str(records), "a record")
        lines.append(json.dumps({**record, "captured_at": 0.0, "captured_monotonic": 0.0, "ms": {}}) + "\n")
    write_whole(records, "".join(lines))
