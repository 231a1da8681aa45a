"""A written ONNX file, run as it lies there by ONNX Runtime's CPU provider; inner tensors can be looked at."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeseg.core.errors import ModelError, one_line
from edgeseg.runtime.machine.onnxruntime_session import FATAL_ONLY, make_session


class OnnxFile:
    """A session on a file, or on a model in memory.

    Args:
        model: the file, or the model itself.
        inner: names of inner tensors to give besides the outputs.
        threads: None lets ONNX Runtime choose.

    Raises:
        ModelError: ONNX Runtime cannot load it.
        OSError: the disk is full.
    """

    def __init__(self, model: Path | onnx.ModelProto, inner: Sequence[str] = (), threads: int | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = FATAL_ONLY
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            with _source(model, inner) as source:
                self._session = make_session(source, ["CPUExecutionProvider"], options)
        except OSError:
            raise
        except Exception as error:  # ONNX Runtime's own exceptions share no public base
            reason = one_line(error, 200)
            raise ModelError(f"ONNX Runtime cannot load the ONNX file ({reason}); nothing was written") from error
        self.outputs = [output.name for output in self._session.get_outputs()]
        self.input = self._session.get_inputs()[0].name

    def run(self, value: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        """Return all outputs by name for the one input."""
        return dict(zip(self.outputs, self._session.run(self.outputs, {self.input: value}), strict=True))


@contextmanager
def _source(model: Path | onnx.ModelProto, inner: Sequence[str]) -> Iterator[str | bytes]:
    """Append outputs to the file while it is loaded: joined protobuf messages are one, and nothing is copied."""
    addition = onnx.ModelProto()
    addition.graph.output.extend(onnx.ValueInfoProto(name=name) for name in inner)
    if isinstance(model, onnx.ModelProto):
        yield model.SerializeToString() + addition.SerializeToString()
        return
    size = model.stat().st_size
    try:
        with model.open("ab") as file:
            file.write(addition.SerializeToString())
        yield str(model)
    finally:
        os.truncate(model, size)


def nchw(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (H, W, C) as [1, C, H, W]."""
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis])
