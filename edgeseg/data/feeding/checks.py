"""What must hold of a split before training depends on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import DataError, UsageError
from edgeseg.core.geometry import Crop, Size, place
from edgeseg.data.base import Dataset, Sample
from edgeseg.data.feeding.label_counts import SplitCount, class_warnings, shared_sequences
from edgeseg.data.parallel import FEW_AHEAD, OnProgress, ignore_progress, map_in_order, reading_threads
from edgeseg.data.reading.masks import count_ids


def check_labelled(
    samples: Sequence[Sample], size: Size, fit: str, crop: Crop | None, on_progress: OnProgress = ignore_progress
) -> SplitCount:
    """Read every sample, so that what is broken is known before work depends on it; return what the network sees of it.

    Args:
        samples: a split's.
        size, fit, crop: see edgeseg.core.geometry.place.
        on_progress: called with the number of samples done so far; what it raises ends the reading.

    Raises:
        DataError: a sample cannot be read, or none has a labelled pixel where the network sees it.
    """

    def counted(sample: Sample) -> NDArray[np.int64]:
        class_map = sample.read()[1]
        x, y, width, height = place(Size(*class_map.shape), size, fit, crop).source
        return count_ids(class_map[y : y + height, x : x + width])

    count = SplitCount(samples=len(samples))
    for done, pixels in enumerate(map_in_order(counted, samples, FEW_AHEAD, reading_threads()), start=1):
        count.add(pixels, len(samples[0].classes))
        on_progress(done)
    if count.unlabelled == len(samples):
        raise nothing_labelled(len(samples), "val")
    return count


def start_warnings(
    dataset: Dataset, seen: Mapping[str, tuple[Sequence[Sample], SplitCount]], strict: bool
) -> list[str]:
    """Return what `edgeseg data check` would warn of, as far as a training has read its data when it begins.

    Args:
        dataset: whose remarks are among the warnings.
        seen: by split, its samples and what was counted in the labels read so far.
        strict: warnings are errors.

    Raises:
        DataError: there is a warning, and they are errors.
    """
    counts = {split: count for split, (_, count) in seen.items()}
    names = ((split, sample.name) for split, (samples, _) in seen.items() for sample in samples)
    warnings = [
        *dataset.remarks.warnings(),
        *class_warnings(dataset.classes, counts, bounded=True, options=dataset.OPTIONS),
        *shared_sequences(names),
    ]
    if warnings and strict:
        more = f", and {len(warnings) - 1} more warning(s)" if len(warnings) > 1 else ""
        raise DataError(f"{warnings[0]}{more}; mend the data, or train without --strict")
    return warnings


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
