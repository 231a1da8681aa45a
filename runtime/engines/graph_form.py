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
from edgeseg.runtime.engines.host_pixels import HostPixels

FRAME, CLASS_MAP, CONFIDENCE = "frame", "class_map", "confidence"
PIXELS, LOGITS = "pixels", "logits"
"""What a camera graph calls its network's input and output."""
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
    """

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
    """Float pixels [1, 3, H, W] or [1, H, W, 3] to logits, probabilities or a class map, as the spec's tensors say."""

    def __init__(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor], spec: ModelSpec, where: str) -> None:
        tensors = spec.tensors
        taken = _chosen(inputs, tensors.input, "input", where)
        if len(inputs) > 1:
            raise ModelError(f"{where}: takes {_listed(inputs)}; expected one input, the picture")
        given = _chosen(outputs, tensors.output, "output", where)
        height, width = spec.input_size
        shape = (1, 3, height, width) if tensors.layout == "nchw" else (1, height, width, 3)
        if taken.dtype not in ("float32", "float16") or not _fits(taken, shape):
            raise ModelError(
                f"{where}: takes {taken}; expected a camera graph (frame uint8 [1, H, W, 3]), or float pixels "
                f"{list(shape)} as its spec says: correct the spec's input_size and tensors, or export it again"
            )
        if spec.camera_size is None and (spec.fit != "stretch" or spec.crop):
            raise ModelError(f"{where}: its spec has a crop or the fit {spec.fit!r}; give it the camera_size as well")
        self.input = Tensor(taken.name, taken.dtype, shape)
        self.outputs = (given,)
        self.frame_size = spec.camera_size or spec.input_size
        self._pixels = HostPixels(spec, self.frame_size, tensors.layout, np.dtype(taken.dtype))
        self._spec, self._where = spec, where
        self._check_classes(given)

    def feed(self, frame: NDArray[np.uint8]) -> NDArray[Any]:
        return self._pixels(frame)

    def read(self, outputs: Sequence[NDArray[Any]]) -> ClassMapAndConfidence:
        given = outputs[0]
        if self._spec.tensors.gives == "class_map":
            return self._ids(given), None
        planes = self._at_input_size(self._planes(given))
        if len(planes) == 1:
            threshold = 0.0 if self._spec.tensors.gives == "logits" else 0.5
            return (planes[0] > threshold).view(np.uint8), None
        return _argmax(planes), None

    def _ids(self, given: NDArray[Any]) -> NDArray[np.uint8]:
        size = [n for n in given.shape if n != 1]
        if len(size) != 2:
            raise self._misfit(given.dtype, given.shape, "one class id a pixel")
        ids = given.reshape(size)
        if ids.dtype != np.uint8 and (ids.min() < 0 or ids.max() > 255):  # a cast would make another class of it
            raise self._misfit(given.dtype, given.shape, f"ids of 0 to 255 and not {ids.min()} to {ids.max()}")
        class_map: NDArray[np.uint8] = self._at_input_size(ids.astype(np.uint8, copy=False)[np.newaxis])[0]
        return class_map

    def _check_classes(self, given: Tensor) -> None:
        """Raise ModelError at the start, where the graph states how many channels it gives, not at the first frame."""
        lengths = (given.shape[1], given.shape[-1]) if len(given.shape) == 4 else (None,)
        if self._spec.tensors.gives != "class_map" and not {None, *self._channels} & set(lengths):
            raise self._misfit(given.dtype, given.shape, self._expected_planes)

    @property
    def _channels(self) -> tuple[int, ...]:
        classes = len(self._spec.classes)
        return (classes, 1) if classes == 2 else (classes,)

    @property
    def _expected_planes(self) -> str:
        classes = len(self._spec.classes)
        return f"[1, {classes}, h, w] or [1, h, w, {classes}] for its spec's {classes} classes"

    def _planes(self, given: NDArray[Any]) -> NDArray[Any]:
        """Return (C, h, w): which axis holds the classes is seen by its length."""
        if given.ndim == 4 and given.shape[0] == 1:
            axes = (0, -1) if self._spec.tensors.layout == "nchw" else (-1, 0)
            for axis in axes:
                if given[0].shape[axis] in self._channels:
                    return np.moveaxis(given[0], axis, 0)
        raise self._misfit(given.dtype, given.shape, self._expected_planes)

    def _at_input_size(self, planes: NDArray[Any]) -> NDArray[Any]:
        """Enlarge what a network gives at a fraction of its input's size: scores linearly, ids by their nearest."""
        height, width = self._spec.input_size
        if planes.shape[1:] == (height, width):
            return planes
        import cv2

        how = cv2.INTER_NEAREST if planes.dtype == np.uint8 else cv2.INTER_LINEAR
        wide = planes.astype(np.float32) if planes.dtype == np.float16 else planes  # OpenCV resizes no half floats
        return np.stack([cv2.resize(np.ascontiguousarray(each), (width, height), interpolation=how) for each in wide])

    def _misfit(self, dtype: object, shape: Sequence[int | None], expected: str) -> ModelError:
        return ModelError(
            f"{self._where}: output {self.outputs[0].name} is {dtype} {list(shape)}; expected {expected}: "
            f"correct the spec's classes and tensors"
        )


def _fits(tensor: Tensor, shape: Sequence[int]) -> bool:
    return len(tensor.shape) == len(shape) and all(n in (None, m) for n, m in zip(tensor.shape, shape, strict=True))


def _chosen(tensors: Sequence[Tensor], name: str, kind: str, where: str) -> Tensor:
    found = next((each for each in tensors if not name or each.name == name), None)
    if found is None:
        raise ModelError(f"{where}: no {kind} {name!r}; expected one of {_listed(tensors)}: correct the spec's tensors")
    return found


def _listed(tensors: Sequence[Tensor]) -> str:
    return "; ".join(map(str, tensors)) or "nothing"


def _argmax(planes: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the index of the greatest of (C, h, w), the first of equal ones.

    As numpy.argmax, which along this axis takes some twenty times as long.
    """
    planes = np.ascontiguousarray(planes)
    best = planes[0].copy()
    ids: NDArray[np.uint8] = np.zeros(best.shape, np.uint8)
    for index in range(1, len(planes)):
        greater = (planes[index] > best).view(np.uint8)
        np.maximum(best, planes[index], out=best)
        np.maximum(ids, greater * np.uint8(index), out=ids)  # an index greater than all before wins
    return ids
