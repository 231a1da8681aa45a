"""Class maps from what a network gives, on the host: scores, probabilities, ids or masks, in any usual shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import ModelError
from edgeseg.core.geometry import Size
from edgeseg.core.spec import ModelSpec


class ClassMapReader:
    """Reads one output, as the spec's tensors say; a smaller one is enlarged to the network's input size.

    Args:
        spec: classes, input size, tensors.
        where: the file and its output, for messages.
    """

    def __init__(self, spec: ModelSpec, where: str) -> None:
        self._size, self._tensors, self._where = spec.input_size, spec.tensors, where
        self._classes, self._ignored = len(spec.classes), spec.classes.ignore_index

    def check(self, dtype: str, shape: Sequence[int | None]) -> None:
        """Raise ModelError at the start, where the graph states how many channels it gives, not at the first frame."""
        if self._tensors.gives == "class_map" or len(shape) < 2:
            return
        lengths = {1} if len(shape) == 2 else {shape[-3], shape[-1]}
        if not {None, *self._channels} & lengths:
            raise self._misfit(dtype, shape, self._expected_planes)

    def __call__(self, given: NDArray[Any]) -> NDArray[np.uint8]:
        """Return (H, W) uint8 class ids. Raises ModelError if the output is not as the spec says."""
        if self._tensors.gives == "class_map":
            ids: NDArray[np.uint8] = self._at_input_size(self._ids(given)[np.newaxis])[0]
            return ids
        planes = self._at_input_size(self._planes(given))
        if len(planes) == 1:
            return np.asarray(planes[0] > self._tensors.least).view(np.uint8)
        return index_of_greatest(planes)

    @property
    def _channels(self) -> tuple[int, ...]:
        return (2, 1) if self._classes == 2 else (self._classes,)

    @property
    def _expected_planes(self) -> str:
        classes = self._classes
        return f"[1, {classes}, h, w] or [1, h, w, {classes}] for its spec's {classes} classes"

    def _ids(self, given: NDArray[Any]) -> NDArray[np.uint8]:
        size = [n for n in given.shape if n != 1]
        if len(size) != 2:
            raise self._misfit(given.dtype, given.shape, "one class id a pixel")
        ids = given.reshape(size)
        if ids.dtype.kind == "f":
            whole = np.rint(ids)
            if not np.array_equal(whole, ids):  # nor is NaN
                raise self._misfit(
                    given.dtype, given.shape, 'whole numbers; of scores the spec says gives "probabilities" or "logits"'
                )
        if ids.dtype != np.uint8 and (ids.min() < 0 or ids.max() > 255):  # a cast would make another class of it
            raise self._misfit(given.dtype, given.shape, f"ids of 0 to 255 and not {ids.min()} to {ids.max()}")
        class_map = ids.astype(np.uint8, copy=False)
        if class_map.max(initial=0) >= self._classes:
            self._check_known(given, class_map)
        return class_map

    def _check_known(self, given: NDArray[Any], class_map: NDArray[np.uint8]) -> None:
        highest = int(class_map[class_map != self._ignored].max(initial=0))
        if highest >= self._classes:
            raise self._misfit(
                given.dtype, given.shape, f"ids below {self._classes}, the spec's number of classes, and not {highest}"
            )
        if self._classes <= 2:
            raise self._misfit(
                given.dtype,
                given.shape,
                f'0 and 1 and not {self._ignored}; a mask of 0 and 255 is "probabilities" with threshold 127.5',
            )

    def _planes(self, given: NDArray[Any]) -> NDArray[Any]:
        """Return (C, h, w); which axis holds the classes is seen by its length where the spec does not tell."""
        wanted = self._channels
        planes = given[0] if given.ndim == 4 and given.shape[0] == 1 else given
        if planes.dtype == np.bool_:
            planes = planes.view(np.uint8)
        if planes.ndim == 2 and 1 in wanted:
            return planes[np.newaxis]
        if planes.ndim == 3:
            first_is_channel = (self._tensors.output_layout or self._tensors.layout) == "nchw"
            axes = (0, -1) if first_is_channel else (-1, 0)
            for axis in axes[:1] if self._tensors.output_layout and given.ndim == 4 else axes:
                if planes.shape[axis] in wanted:
                    return np.moveaxis(planes, axis, 0)
        raise self._misfit(given.dtype, given.shape, self._expected_planes)

    def _at_input_size(self, planes: NDArray[Any]) -> NDArray[Any]:
        """Enlarge what a network gives at a fraction of its input's size: scores linearly, ids by their nearest."""
        if planes.shape[1:] == self._size:
            return planes
        import cv2

        is_ids = self._tensors.gives == "class_map"
        if self._tensors.align_corners and not is_ids:
            return with_corners_aligned(planes, self._size)
        height, width = self._size
        how = cv2.INTER_NEAREST if is_ids else cv2.INTER_LINEAR
        wide = planes if is_ids else planes.astype(np.float32, copy=False)  # OpenCV resizes no half floats
        return np.stack([cv2.resize(np.ascontiguousarray(each), (width, height), interpolation=how) for each in wide])

    def _misfit(self, dtype: object, shape: Sequence[int | None], expected: str) -> ModelError:
        return ModelError(
            f"{self._where} is {dtype} {list(shape)}; expected {expected}: correct the spec's classes and tensors"
        )


def with_corners_aligned(planes: NDArray[Any], size: Size) -> NDArray[np.float32]:
    """Enlarge (C, h, w) linearly to (C, H, W) float32 so that the corner pixels' centres stay the corners."""
    rows = _between(planes.astype(np.float32, copy=False), size.height, 1)
    return _between(rows, size.width, 2)


def _between(planes: NDArray[np.float32], length: int, axis: int) -> NDArray[np.float32]:
    old = planes.shape[axis]
    at = np.arange(length, dtype=np.float32) * np.float32((old - 1) / max(length - 1, 1))
    low = np.minimum(at.astype(np.intp), old - 1)
    high = np.minimum(low + 1, old - 1)
    share = (at - low).reshape((-1, 1) if axis == 1 else (-1,))
    first: NDArray[np.float32] = planes.take(low, axis)
    difference = planes.take(high, axis)
    difference -= first
    difference *= share
    first += difference
    return first


def index_of_greatest(planes: NDArray[Any]) -> NDArray[np.uint8]:
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
