"""Is a precision faster than float32? What can be timed without a GPU: ONNX Runtime's CPU engine."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from edgeseg.export.onnx_file import OnnxFile

LEAST_ROUNDS, MOST_ROUNDS = 3, 15
SECONDS = 6.0  # of CPU time, for both files together; large networks take more, since the least rounds are run
_SLOWER = 0.98


@dataclass(frozen=True)
class Speed:
    """CPU time of ONNX Runtime on one thread, both files in turns.

    Attributes:
        ms: of a frame, the median.
        fp32_ms: of a frame in float32.
        ratio: how many times as fast as float32 the file is: the median of the rounds' ratios, which neighbours on the
            machine change less than the times.
    """

    ms: float
    fp32_ms: float
    ratio: float

    def line(self, precision: str, form: str) -> str:
        """Return what a user reads."""
        text = (
            f"on this CPU {self.ratio:.2f} times as fast as fp32: {self.ms:.1f} and {self.fp32_ms:.1f} ms/frame of CPU "
            "time (ONNX Runtime, one thread)"
        )
        if self.ratio >= _SLOWER:
            return text
        return f"warning: slower than fp32 here: {text}; {_advice(precision, form)}"


def _advice(precision: str, form: str) -> str:
    if precision == "int8" and form == "cpu":
        return "export fp32 for such a CPU"
    return "this file is for TensorRT, where nothing could be timed; for a CPU export fp32 or --int8-form cpu"


def compare_speed(fp32: onnx.ModelProto, written: Path) -> Speed:
    """Time a written file against the same network in float32.

    Args:
        fp32: the graph in float32, with the file's input.
        written: the file.
    """
    files = [OnnxFile(fp32, threads=1), OnnxFile(written, threads=1)]
    value = fp32.graph.input[0].type.tensor_type
    shape = [each.dim_value for each in value.shape.dim]
    random = np.random.default_rng(0)
    if value.elem_type == onnx.TensorProto.UINT8:
        frame = random.integers(0, 256, shape, np.uint8)
    else:
        frame = random.normal(size=shape).astype(np.float32)
    for file in files:
        file.run(frame)
    times: list[list[float]] = [[], []]
    while len(times[0]) < LEAST_ROUNDS or (len(times[0]) < MOST_ROUNDS and sum(map(sum, times)) < SECONDS):
        for file, taken in zip(files, times, strict=True):
            start = time.thread_time()
            file.run(frame)
            taken.append(time.thread_time() - start)
    ratio = statistics.median(a / b for a, b in zip(*times, strict=True))
    fp32_ms, ms = (1e3 * statistics.median(each) for each in times)
    return Speed(ms, fp32_ms, ratio)
