"""What ONNX Runtime's two backends share: a session, and its tensors as ours."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import onnxruntime

from edgeseg.core.errors import EngineError, ModelError, one_line
from edgeseg.runtime.engines.graph_form import Tensor
from edgeseg.runtime.engines.model_file import ModelFile
from edgeseg.runtime.engines.settings import EngineSettings
from edgeseg.runtime.machine.onnxruntime_session import FATAL_ONLY, ProviderNotLoadedError, make_session

_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}


def open_session(model: ModelFile, settings: EngineSettings, providers: Sequence[Any]) -> Any:
    """Load a model.

    Raises:
        EngineError: the first of the providers does not work here.
        ModelError: the file cannot be used.
    """
    path = model.onnx
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL_ONLY
    if settings.threads is not None:
        options.intra_op_num_threads = settings.threads
    try:
        session = make_session(str(path), providers, options)
    except ProviderNotLoadedError as error:
        raise EngineError(f"ONNX Runtime: {error}; see docs/engines.md, ONNX Runtime on the GPU") from error
    except Exception as error:  # ONNX Runtime's own exceptions share no public base
        reason = one_line(error, 200)
        raise ModelError(f"{model.path}: ONNX Runtime cannot load it ({reason}); export the model again") from error
    _give_memory_back()
    return session


def tensors(nodes: Sequence[Any]) -> list[Tensor]:
    """Return a session's inputs or outputs; a dimension with a name, or none, is not fixed."""
    return [
        Tensor(
            node.name,
            _DTYPES.get(node.type, node.type.removeprefix("tensor(").removesuffix(")")),
            tuple(n if isinstance(n, int) and n > 0 else None for n in node.shape),
        )
        for node in nodes
    ]


def _give_memory_back() -> None:
    """Return what loading has freed to the system: for a 34 MB model, 50 of 250 MB that the C library would keep."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
    if trim is not None:
        trim(0)
