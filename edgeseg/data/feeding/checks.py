"""What must hold of a split before training depends on it."""

from __future__ import annotations

from collections.abc import Sequence

from edgeseg.core.errors import DataError, UsageError
from edgeseg.core.geometry import Crop, Size, place
from edgeseg.data.base import Sample
from edgeseg.data.parallel import FEW_AHEAD, OnProgress, ignore_progress, map_in_order, reading_threads


def check_labelled(
    samples: Sequence[Sample], size: Size, fit: str, crop: Crop | None, on_progress: OnProgress = ignore_progress
) -> None:
    """Read every sample, so that what is broken is known before work depends on it.

    Args:
        samples: a split's.
        size, fit, crop: see edgeseg.core.geometry.place.
        on_progress: called with the number of samples done so far; what it raises ends the reading.

    Raises:
        DataError: a sample cannot be read, or none has a labelled pixel where the network sees it.
    """

    def is_labelled(sample: Sample) -> bool:
        class_map = sample.read()[1]
        x, y, width, height = place(Size(*class_map.shape), size, fit, crop).source
        return bool((class_map[y : y + height, x : x + width] != sample.classes.ignore_index).any())

    any_labelled = False
    for done, labelled in enumerate(map_in_order(is_labelled, samples, FEW_AHEAD, reading_threads()), start=1):
        any_labelled |= labelled
        on_progress(done)
    if not any_labelled:
        raise nothing_labelled(len(samples), "val")


def check_batch(batch: int, images: int) -> None:
    """Raise UsageError if the training images do not fill a batch."""
    if batch > images:
        raise UsageError(f"batch {batch} with {images} training images; use a batch of at most {images}")


def nothing_labelled(masks: int, split: str) -> DataError:
    """Return the error for masks that say nothing."""
    return DataError(
        f"no pixel is labelled in {masks} {split} masks (at network size, after the crop); expected class ids: "
        f"check the masks, and that their ids do not all mean ignore"
    )
