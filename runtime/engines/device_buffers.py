"""What memory a graph needs on a GPU: a plan that can be made, and tested, without one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from edgeseg.core.errors import ModelError
from edgeseg.runtime.engines.graph_form import GraphForm, Tensor


@dataclass(frozen=True)
class BufferPlan:
    """One tensor's memory.

    Attributes:
        name, shape, dtype: of the tensor.
        copies: `in` from the host before a run, `out` to it after, or empty: the graph writes it and nobody reads it.
        mapped: the device reads and writes the host's own memory, so that nothing is copied: where they share it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    copies: str
    mapped: bool

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * np.dtype(self.dtype).itemsize


def plan_buffers(form: GraphForm, outputs: Sequence[Tensor], integrated: bool, where: str) -> list[BufferPlan]:
    """Return the memory that a graph needs for one frame in flight, its input first.

    Args:
        form: of the graph: what is fed, and which outputs are read.
        outputs: all that the graph writes.
        integrated: the device shares the host's memory.
        where: the model's file, for the message.

    Raises:
        ModelError: a size is not fixed, or a type is none of NumPy's.
    """
    read = {output.name for output in form.outputs}
    plans = [_plan(form.input, "in", integrated, where)]
    return plans + [_plan(each, "out" if each.name in read else "", integrated, where) for each in outputs]


def _plan(tensor: Tensor, copies: str, integrated: bool, where: str) -> BufferPlan:
    if not tensor.is_fixed:
        raise ModelError(f"{where}: {tensor} has a size that is not fixed; export the model with fixed sizes")
    try:
        np.dtype(tensor.dtype)
    except TypeError as error:
        raise ModelError(f"{where}: {tensor} is of a type that the host does not have; export it as float32") from error
    shape = tuple(int(n) for n in tensor.shape if n is not None)
    return BufferPlan(tensor.name, shape, tensor.dtype, copies, integrated and bool(copies))
