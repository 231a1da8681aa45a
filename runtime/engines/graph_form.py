"""What a graph takes and gives, and what is left to do on the host. One form serves every engine.

Nothing is left for a camera graph; for a network alone, a foreign one for example, pixels and argmax.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import ModelError
from edgeseg.core.geometry import Size
from edgeseg.core.spec import ModelSpec

FRAME, CLASS_MAP, CONFIDENCE = "frame", "class_map", "confidence"
PIXELS, LOGITS = "pixels", "logits"
"""What a camera graph calls its network's input and output."""
_PIXELS = ("float32", "float16", "float64", "uint8")
ClassMapAndConfidence = tuple[NDArray[np.uint8], "NDArray[np.uint8] | None"]


@dataclass(frozen=True)
class Tensor:
    """An input or output as an engine describes it; a dimension that is not fixed is None."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.dtype} [{', '.join('?' if n is None else str(n) for n in self.shape)}]"

    @property
    def is_fixed(self) -> bool:
        return None not in self.shape


class GraphForm(ABC):
    """How frames go into a graph and class maps come out.

    Attributes:
        frame_size: of the frames.
        input: what is fed, all dimensions known.
        outputs: what is read, in this order.
        gives_confidence: whether `read` returns one.
    """

    gives_confidence: bool = False
    frame_size: Size
    input: Tensor
    outputs: tuple[Tensor, ...]

    @abstractmethod
    def feed(self, frame: NDArray[np.uint8]) -> NDArray[Any]:
        """Return the input for a (H, W, 3) uint8 BGR frame, C-contiguous; it holds until the next call."""

    @abstractmethod
    def read(self, outputs: Sequence[NDArray[Any]]) -> ClassMapAndConfidence:
        """Return (h, w) uint8 class map and confidence, if there is one, from the outputs."""


def form_of(inputs: Sequence[Tensor], outputs: Sequence[Tensor], spec: ModelSpec, where: str) -> GraphForm:
    """Return the form of a graph. Raises ModelError, naming `where`, if it does not fit its spec."""
    if _is_camera_graph(inputs, outputs):
        return CameraForm(inputs[0], outputs, spec, where)
    return NetworkForm(inputs, outputs, spec, where)


def _is_camera_graph(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> bool:
    if len(inputs) != 1 or CLASS_MAP not in [output.name for output in outputs]:
        return False
    name, dtype, shape = inputs[0].name, inputs[0].dtype, inputs[0].shape
    return (name, dtype) == (FRAME, "uint8") and len(shape) == 4 and inputs[0].is_fixed and shape[::3] == (1, 3)


class CameraForm(GraphForm):
    """`frame` uint8 [1, H, W, 3] to `class_map` and `confidence` uint8 [1, h, w]: frames are read where they lie."""

    def __init__(self, taken: Tensor, outputs: Sequence[Tensor], spec: ModelSpec, where: str) -> None:
        self.input = taken
        self.frame_size = Size(int(taken.shape[1] or 0), int(taken.shape[2] or 0))
        named = {output.name: output for output in outputs}
        self.gives_confidence = CONFIDENCE in named
        self.outputs = tuple(named[name] for name in (CLASS_MAP, CONFIDENCE) if name in named)
        if spec.camera_size not in (None, self.frame_size):
            raise ModelError(
                f"{where}: takes frames of {self.frame_size}, its spec says {spec.camera_size}; expected the same: "
                "correct the spec's camera_size, or export it again"
            )
        expected = (1, *spec.input_size)
        for output in self.outputs:
            if output.dtype != "uint8" or not _fits(output, expected):
                raise ModelError(
                    f"{where}: gives {output}; expected uint8 {list(expected)} as its spec says: correct the spec's "
                    "input_size, or export it again"
                )

    def feed(self, frame: NDArray[np.uint8]) -> NDArray[Any]:
        return frame[np.newaxis]

    def read(self, outputs: Sequence[NDArray[Any]]) -> ClassMapAndConfidence:
        return outputs[0][0], outputs[1][0] if len(outputs) > 1 else None


class NetworkForm(GraphForm):
    """Pixels [1, channels, H, W] or [1, H, W, channels] to scores or a class map, as the spec's tensors say."""

    def __init__(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], spec: ModelSpec, where: str) -> None:
        from edgeseg.runtime.engines.class_map_reader import ClassMapReader  # a camera graph starts without
        from edgeseg.runtime.engines.host_pixels import HostPixels

        tensors = spec.tensors
        taken = _chosen(inputs, tensors.input, "input", where)
        if len(inputs) > 1:
            raise ModelError(f"{where}: takes {_listed(inputs)}; expected one input, the picture")
        given = _chosen(outputs, tensors.output, "output", where)
        height, width = spec.input_size
        shape = (1, spec.channels, height, width) if tensors.layout == "nchw" else (1, height, width, spec.channels)
        if taken.dtype not in _PIXELS or not _fits(taken, shape):
            raise ModelError(
                f"{where}: takes {taken}; expected a camera graph (frame uint8 [1, H, W, 3]), or pixels "
                f"{list(shape)}, float or uint8, as its spec says: correct the spec's input_size, colour_order and "
                "tensors, or export it again"
            )
        if taken.dtype == "uint8" and (any(spec.mean) or any(each != 1 for each in spec.scale)):
            raise ModelError(
                f"{where}: takes {taken}, bytes; expected mean 0 and scale 1 in its spec, which has others"
            )
        if spec.camera_size is None and (spec.fit != "stretch" or spec.crop):
            raise ModelError(f"{where}: its spec has a crop or the fit {spec.fit!r}; give it the camera_size as well")
        self.input = Tensor(taken.name, taken.dtype, shape)
        self.outputs = (given,)
        self.frame_size = spec.camera_size or spec.input_size
        self._pixels = HostPixels(spec, self.frame_size, tensors.layout, np.dtype(taken.dtype))
        self._class_map = ClassMapReader(spec, f"{where}: output {given.name}")
        self._class_map.check(given.dtype, given.shape)

    def feed(self, frame: NDArray[np.uint8]) -> NDArray[Any]:
        return self._pixels(frame)

    def read(self, outputs: Sequence[NDArray[Any]]) -> ClassMapAndConfidence:
        return self._class_map(outputs[0]), None


def _fits(tensor: Tensor, shape: Sequence[int]) -> bool:
    return len(tensor.shape) == len(shape) and all(n in (None, m) for n, m in zip(tensor.shape, shape, strict=True))


def _chosen(tensors: Sequence[Tensor], name: str, kind: str, where: str) -> Tensor:
    found = next((each for each in tensors if not name or each.name == name), None)
    if found is None:
        raise ModelError(f"{where}: no {kind} {name!r}; expected one of {_listed(tensors)}: correct the spec's tensors")
    return found


def _listed(tensors: Sequence[Tensor]) -> str:
    return "; ".join(map(str, tensors)) or "nothing"
