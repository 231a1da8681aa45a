"""A session of ONNX Runtime that runs on what it was asked for or says why not, and prints nothing by itself."""

from __future__ import annotations

import contextlib
import ctypes
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeseg.core.errors import one_line

_WARNING, FATAL_ONLY = 2, 4
"""ONNX Runtime's log severities: its own default, and ours, since what goes wrong is raised, and said once."""
_LIBRARIES = {
    "CUDAExecutionProvider": "libonnxruntime_providers_cuda.so",
    "TensorrtExecutionProvider": "libonnxruntime_providers_tensorrt.so",
}


class ProviderNotLoadedError(RuntimeError):
    """The first provider that was asked for does not work here; the message is its own reason, on one line."""


def make_session(source: str | bytes, providers: Sequence[Any], options: Any = None) -> Any:
    """Return an InferenceSession whose first provider is the first of `providers`.

    ONNX Runtime by itself goes on by the CPU: a provider that fails is printed to standard output, and one whose
    libraries are missing is told to its default logger alone.

    Args:
        source: a file or its content.
        providers: names, or pairs of a name and its options, best first.
        options: an onnxruntime.SessionOptions; None for its defaults without its log.

    Raises:
        ProviderNotLoadedError: it has taken another provider.
        Exception: ONNX Runtime's own, which share no public base.
    """
    import onnxruntime

    if options is None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = FATAL_ONLY
    first = providers[0] if isinstance(providers[0], str) else providers[0][0]
    if first not in _LIBRARIES:
        return onnxruntime.InferenceSession(source, options, providers=list(providers), enable_fallback=0)
    onnxruntime.set_default_logger_severity(FATAL_ONLY)
    try:
        said = _preload(onnxruntime)
        session = onnxruntime.InferenceSession(source, options, providers=list(providers), enable_fallback=0)
    finally:
        onnxruntime.set_default_logger_severity(_WARNING)
    used = session.get_providers()[0]
    if used != first:
        reason = _why_not_loaded(onnxruntime, first) or said or "no reason is known"
        raise ProviderNotLoadedError(f"{first} does not load, {used} would take its place: {reason}")
    return session


def _preload(onnxruntime: Any) -> str:
    """Load CUDA and cuDNN where pip has put them (the wheel's extras `cuda` and `cudnn`); return what was said of it.

    From 1.21 on; elsewhere the system's are found or not.
    """
    preload, said = getattr(onnxruntime, "preload_dlls", None), io.StringIO()
    if preload is not None:
        with contextlib.redirect_stdout(said), contextlib.suppress(Exception):
            preload()
    return one_line(said.getvalue(), 200)


def _why_not_loaded(onnxruntime: Any, provider: str) -> str:
    """Return what the system's loader says of a provider's library: the missing one's name; empty where it loads."""
    try:
        ctypes.CDLL(str(Path(onnxruntime.__file__).parent / "capi" / _LIBRARIES[provider]))
    except OSError as error:
        return one_line(error, 200)
    return ""
