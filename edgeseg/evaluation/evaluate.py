"""How good a model is on labelled pictures: compared at the labels' own size, whatever size the network has."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import islice

import numpy as np

from edgeseg.core.errors import ModelError
from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.core.metrics import ConfusionMatrix, Scores
from edgeseg.data.base import Mask, Sample
from edgeseg.data.parallel import map_in_order, reading_threads
from edgeseg.drawing.overlay import enlarge
from edgeseg.evaluation.boundary import BoundaryF1
from edgeseg.evaluation.predictors import BATCH, Predictor, load_predictor

__all__ = ["check_classes", "evaluate", "load_predictor", "predicted_class_map"]


def evaluate(
    predictor: Predictor,
    samples: Sequence[Sample],
    classes: ClassMap,
    on_progress: Callable[[int], None] | None = None,
    boundaries: bool = False,
) -> Scores:
    """Compare predictions with labels.

    A class map is enlarged by nearest neighbour to the label's own size. Pixels that the network never saw (cut away
    by a crop) and pixels labelled as ignored are not counted.

    Args:
        predictor: the model.
        samples: labelled pictures, of any sizes.
        classes: the data set's.
        on_progress: called with the number of pictures done so far; what it raises ends the evaluation.
        boundaries: measure the boundary F1 too (docs/evaluation.md says what that costs).

    Raises:
        ModelError: the model's classes are not the data's, or not those of its own network.
        DataError: a sample cannot be read.
    """
    check_classes(predictor.spec.classes, classes)
    matrix = ConfusionMatrix(classes, by_picture=True)
    outlines = BoundaryF1(classes) if boundaries else None
    with closing(map_in_order(lambda sample: sample.read(), samples, BATCH + 1, reading_threads())) as reading:
        for first in range(0, len(samples), BATCH):
            batch = samples[first : first + BATCH]
            pairs = list(islice(reading, len(batch)))
            class_maps = predictor.predict([image for image, _ in pairs])
            for sample, (_, truth), class_map in zip(batch, pairs, class_maps, strict=True):
                _check_ids(class_map, classes)
                placement = predictor.placement(Size(*truth.shape))
                x, y, width, height = placement.source
                seen, predicted = truth[y : y + height, x : x + width], enlarge(class_map, placement)
                matrix.add(seen, predicted, sample.name)
                if outlines:
                    outlines.add(seen, predicted)
            if on_progress:
                on_progress(matrix.images)
    scores = matrix.scores()
    if not outlines:
        return scores
    return dataclasses.replace(scores, boundary_f1=outlines.score(), boundary_f1_of_class=outlines.of_class())


def predicted_class_map(predictor: Predictor, picture: Size, class_map: Mask) -> Mask:
    """Return a network's class map at the picture's size, (H, W) uint8; what the network never saw is ignored.

    Raises:
        ModelError: the network has more classes than its spec.
    """
    _check_ids(class_map, predictor.spec.classes)
    placement = predictor.placement(picture)
    x, y, width, height = placement.source
    whole = np.full(picture, predictor.spec.classes.ignore_index, np.uint8)
    whole[y : y + height, x : x + width] = enlarge(class_map, placement)
    return whole


def check_classes(model: ClassMap, data: ClassMap) -> None:
    """Raise ModelError, with the difference, unless the class names are the same in the same order."""
    if model.names == data.names:
        return
    only_model = [name for name in model.names if name not in data.names]
    only_data = [name for name in data.names if name not in model.names]
    difference = [f"only the model has {', '.join(only_model)}"] * bool(only_model)
    difference += [f"only the data has {', '.join(only_data)}"] * bool(only_data)
    raise ModelError(
        f"the model knows {len(model)} classes, the data has {len(data)}: "
        f"{'; '.join(difference) or 'their order differs'}; evaluate on data with the model's classes"
    )


def _check_ids(class_map: Mask, classes: ClassMap) -> None:
    highest = int(class_map.max())
    if highest >= len(classes):
        raise ModelError(
            f"the network gives class id {highest}, but its spec names {len(classes)} classes; "
            f"correct the spec or export the model again"
        )
