"""Samples that remember what was read, for small splits that are read every epoch; and reading many in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from edgeseg.data.base import Image, Mask, Sample
from edgeseg.errors import DataError, UsageError
from edgeseg.geometry import Crop, Size, place

MIB = 2**20
AT_ONCE = 8  # so many samples are read before anyone is asked whether to go on
OnProgress = Callable[[int], None]
T = TypeVar("T")
Result = TypeVar("Result")


def ignore_progress(done: int) -> None:
    """Show nothing."""


class RememberedSample(Sample):
    """A sample that is read once."""

    def __init__(self, sample: Sample) -> None:
        super().__init__(sample.name, sample.classes)
        self._sample = sample
        self._read: tuple[Image, Mask] | None = None

    def read(self) -> tuple[Image, Mask]:
        if self._read is None:
            self._read = self._sample.read()
        return self._read

    def _image(self) -> Image:
        return self.read()[0]

    def _class_map(self) -> Mask:
        return self.read()[1]


def remembered(samples: Sequence[Sample], limit_bytes: int) -> list[Sample]:
    """Return samples that are read once, if all are likely to fit into `limit_bytes`; else the samples as they are.

    The estimate takes the first picture's size for all.
    """
    first = RememberedSample(samples[0])
    if sum(part.nbytes for part in first.read()) * len(samples) > limit_bytes:
        return list(samples)
    return [first, *(RememberedSample(sample) for sample in samples[1:])]


def read_in_order(read: Callable[[T], Result], items: Iterable[T]) -> Iterator[Result]:
    """Yield what `read` makes of each item, in order, a few at a time on threads; little is read beyond a stop."""
    remaining = iter(items)
    with ThreadPoolExecutor() as pool:
        while some := list(islice(remaining, AT_ONCE)):
            yield from pool.map(read, some)


def check_labelled(
    samples: Sequence[Sample], size: Size, fit: str, crop: Crop | None, on_progress: OnProgress = ignore_progress
) -> None:
    """Read every sample, so that what is broken is known before work depends on it.

    Args:
        samples: a split's.
        size, fit, crop: see edgeseg.geometry.place.
        on_progress: called with the number of samples done so far; what it raises ends the reading.

    Raises:
        DataError: a sample cannot be read, or none has a labelled pixel where the network sees it.
    """

    def is_labelled(sample: Sample) -> bool:
        class_map = sample.read()[1]
        x, y, width, height = place(Size(*class_map.shape), size, fit, crop).source
        return bool((class_map[y : y + height, x : x + width] != sample.classes.ignore_index).any())

    any_labelled = False
    for done, labelled in enumerate(read_in_order(is_labelled, samples), start=1):
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
