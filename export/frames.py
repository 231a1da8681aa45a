"""Real frames for the proof and the calibration, read one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import DataError, UsageError
from edgeseg.core.geometry import Placement, Size, place_through
from edgeseg.core.labels import ClassMap
from edgeseg.core.spec import ModelSpec
from edgeseg.data.argument import open_dataset
from edgeseg.data.base import Sample


@dataclass(frozen=True)
class Frame:
    """A frame as the camera graph takes it.

    Attributes:
        name: of the sample.
        pixels: (H, W, 3) uint8, BGR, of the spec's camera size.
        truth: labels of the part that the network sees, at the label's own size; None if there are none to compare.
        placement: of the label's size, to enlarge a class map to it.
    """

    name: str
    pixels: NDArray[np.uint8]
    truth: NDArray[np.uint8] | None
    placement: Placement


class Frames:
    """Samples of a split, evenly spread, as frames. Iterating reads them anew each time.

    Raises:
        DataError: the data set or the split is not here.
        UsageError: its pictures are cropped already, and the model crops the camera's.
    """

    def __init__(self, data: str, split: str, count: int, spec: ModelSpec, purpose: str, option: str) -> None:
        try:
            dataset = open_dataset(data)
            samples = dataset.split(split)
        except DataError as error:
            raise DataError(f"no frames to {purpose}: {error}; give a data set that is here by {option}") from error
        try:
            dataset.check_crop(spec.crop)
        except UsageError as error:
            raise UsageError(f"no frames to {purpose}: {error}; give whole pictures by {option}") from error
        chosen = np.linspace(0, len(samples) - 1, min(count, len(samples)), dtype=int)
        self._samples = [samples[i] for i in chosen]
        self._classes: ClassMap = dataset.classes
        self._spec = spec
        self._size = spec.camera_size or spec.input_size

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[Frame]:
        return map(self._frame, self._samples)

    def some(self, count: int) -> Iterator[Frame]:
        """Yield at most `count` of them, evenly spread."""
        chosen = np.linspace(0, len(self) - 1, min(count, len(self)), dtype=int)
        return (self._frame(self._samples[i]) for i in chosen)

    def _frame(self, sample: Sample) -> Frame:
        has_truth = self._classes.names == self._spec.classes.names
        image, truth = sample.read() if has_truth else (sample.read_image(), None)
        spec, (height, width) = self._spec, self._size
        placement = place_through(self._size, Size(*image.shape[:2]), spec.input_size, spec.fit, spec.crop)
        x, y, w, h = placement.source
        resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        seen = None if truth is None else truth[y : y + h, x : x + w]
        return Frame(sample.name, np.ascontiguousarray(resized, np.uint8), seen, placement)
