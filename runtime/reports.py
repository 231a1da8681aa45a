"""What is said of each mask beside the mask itself, as far as a run asks for it and its graph can tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Size, place
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.road import RoadReport, RoadResult
from edgeseg.runtime.road_settings import RoadSettings

_MOST = 255.0  # a softmax maximum of 1


class ConfidenceByClass:
    """The mean confidence of each class of a mask.

    Args:
        spec: of the model.
        graph_size: the frame size that the camera graph takes.
    """

    def __init__(self, spec: ModelSpec, graph_size: Size) -> None:
        x, y, width, height = place(graph_size, spec.input_size, spec.fit, spec.crop).target
        self._seen = (slice(y, y + height), slice(x, x + width))
        self._names = spec.classes.names

    def __call__(self, class_map: NDArray[np.uint8], confidence: NDArray[np.uint8]) -> dict[str, float]:
        """Return the mean (0 to 1) of each class that is in the mask, by name; padding counts for none.

        Args:
            class_map: (h, w) class ids as the network gave them.
            confidence: (h, w), 255 times the softmax maximum.
        """
        ids = class_map[self._seen].ravel()
        counts = np.bincount(ids, minlength=256)
        sums = np.bincount(ids, confidence[self._seen].ravel(), minlength=256)
        found = [index for index in range(len(self._names)) if counts[index]]
        return {self._names[index]: float(sums[index] / (_MOST * counts[index])) for index in found}


@dataclass(frozen=True)
class MaskReports:
    """The reports of a run, chosen once; None for one that nobody wants or the graph cannot give."""

    road: RoadReport | None = None
    confidence: ConfidenceByClass | None = None

    def add(
        self, class_map: NDArray[np.uint8], confidence: NDArray[np.uint8] | None, captured_monotonic: float
    ) -> tuple[NDArray[np.uint8], RoadResult | None, dict[str, float] | None]:
        """Take a mask; return it, smoothed if that is wanted, what it says of the road, and confidence by class."""
        means = self.confidence(class_map, confidence) if self.confidence and confidence is not None else None
        if self.road is None:
            return class_map, None, means
        smoothed, said = self.road.add(class_map, captured_monotonic)
        return smoothed, said, means


def choose_reports(
    road: RoadSettings | None, wants_confidence: bool, spec: ModelSpec, graph_size: Size, camera: Size | None
) -> MaskReports:
    """Return the reports of a run.

    Args:
        road: what is wanted of the road; None for nothing.
        wants_confidence: somebody reads the means by class, and the graph gives a confidence.
        spec: of the model.
        graph_size: the frame size that the camera graph takes.
        camera: the size of the source's pictures; None where none came.

    Raises:
        UsageError: as of RoadReport.
    """
    return MaskReports(
        RoadReport(road, spec, graph_size, camera) if road and camera else None,
        ConfidenceByClass(spec, graph_size) if wants_confidence else None,
    )
