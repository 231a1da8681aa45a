"""The ranges of a network's tensors on real frames: the calibration that both forms of int8 are written from."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeseg.core.errors import ModelError, UsageError
from edgeseg.export.camera_graph import INPUT

CHUNK = 4  # frames whose activations ONNX Runtime's calibrator keeps at a time
_BIN_COUNT = 2048
_MEASURED = ["Conv", "Relu", "Clip", "MaxPool", "Add", "Sigmoid", "Mul"]  # what they read and what they give
Pixels = NDArray[np.float32]


def calibrated(network: onnx.ModelProto, frames: Iterable[Pixels], method: str) -> Any:
    """Return ONNX Runtime's TensorsData: by tensor its least and greatest value.

    Args:
        network: float32 [1, 3, H, W] `pixels` to `logits`.
        frames: network inputs; read once, a few at a time.
        method: `percentile` (99.99 % of the values of each tensor lie inside its range) or `entropy`.

    Raises:
        ModelError: the values are not finite, or all the same.
        UsageError: there is no room for the calibration's files.
    """
    from onnxruntime.quantization.calibrate import CalibrationMethod, create_calibrator

    kind = {"percentile": CalibrationMethod.Percentile, "entropy": CalibrationMethod.Entropy}[method]
    options: dict[str, Any] = {"symmetric": False, "num_bins": _BIN_COUNT}
    if method == "percentile":
        options["percentile"] = 99.99
    with _folder() as folder, silent():
        plain = folder / "network.onnx"
        onnx.save(network, str(plain))
        calibrator = create_calibrator(
            str(plain), _MEASURED, str(folder / "augmented.onnx"), kind, extra_options=options
        )
        remaining = iter(frames)
        try:
            while chunk := list(islice(remaining, CHUNK)):
                calibrator.collect_data(_Reader(iter(chunk)))
            return calibrator.compute_data()
        except ValueError as error:  # NumPy's histogram
            raise ModelError(
                f"int8's ranges cannot be measured ({error}); expected numbers that are finite and differ: is the "
                "network trained? Otherwise use fp16"
            ) from error


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A temporary folder, since ONNX Runtime's calibrators want files. Raises UsageError if it is full."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(
            f"{tempfile.gettempdir()}: no room for the calibration ({reason}); set TMPDIR to a larger place"
        ) from error


class _Reader:
    """What ONNX Runtime's calibrators read frames from."""

    def __init__(self, frames: Iterator[Pixels]) -> None:
        self._frames = frames

    def get_next(self) -> dict[str, Pixels] | None:
        pixels = next(self._frames, None)
        return None if pixels is None else {INPUT: pixels}


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """ONNX Runtime's calibrators and quantisers print."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
