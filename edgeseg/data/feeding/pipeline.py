"""The training input: an endless stream of batches that is a pure function of the seed and the step.

So a run repeats, and a resumed run goes on where it stopped. Each picture is read or taken from memory, warped once and
recoloured by OpenCV, which leaves Python's lock, on tf.data's threads, while the network trains.
"""

from __future__ import annotations

import atexit
from collections.abc import Generator, Sequence
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import EdgesegError
from edgeseg.core.geometry import Crop, Placement, Size, place
from edgeseg.data.base import Image, Mask, Sample
from edgeseg.data.feeding.augment import Augmentation
from edgeseg.data.feeding.checks import check_batch, nothing_labelled
from edgeseg.data.feeding.class_balance import ClassCounts
from edgeseg.data.feeding.fit import PixelColour, fit_class_map
from edgeseg.data.feeding.label_counts import SplitCount
from edgeseg.data.feeding.photometry import change_colours
from edgeseg.data.feeding.warp import Source, draw_map, paint_padding, warp
from edgeseg.data.parallel import FEW_AHEAD, OnProgress, ignore_progress, map_in_order, reading_threads
from edgeseg.data.reading.masks import count_ids
from edgeseg.data.wrappers import MIB
from edgeseg.tf import tf

SHARES_FROM = 500  # so many masks give the class shares well enough, however large the data set
DETAIL_BYTES = 1024 * MIB  # half of the default cache: the other half is for val and for what else needs memory


class FittedSamples:
    """Samples for the network's size, kept in memory after their first reading if all of them fit.

    Augmentation enlarges. So pictures are taken at their own size, and fitted only as they are used, if all together
    take at most DETAIL_BYTES; those of larger data sets are first brought to the network's size, where many times as
    many can be kept. Which of the two is decided by the data alone, never by `cache_bytes`: how much memory a machine
    has must not change what is trained.

    Args:
        samples: what to read; the first one's labels are read at once, all are taken to be of its size.
        size, fit, crop: see edgeseg.core.geometry.place.
        padding: BGR colour of what a picture does not reach.
        cache_bytes: what the pictures and masks may take in memory; more than that and none is kept.

    Raises:
        DataError: the first sample's labels cannot be read.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        size: Size,
        fit: str = "stretch",
        crop: Crop | None = None,
        padding: PixelColour = (0, 0, 0),
        cache_bytes: int = 2048 * MIB,
    ) -> None:
        self.samples = samples
        self.size, self.fit, self.crop, self.padding = size, fit, crop, padding
        first = self._placement(samples[0].read_class_map())
        own, reduced = (4 * box.width * box.height * len(samples) for box in (first.source, first.target))
        self.keeps_detail = own <= max(DETAIL_BYTES, reduced)
        needed = own if self.keeps_detail else reduced
        self.keeps = needed <= cache_bytes
        self.kept_bytes = needed if self.keeps else 0
        self._room = cache_bytes
        self._kept: list[Source | None] = [None] * len(samples)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Image, Mask]:
        """Return the picture (H, W, 3) and class map (H, W), both uint8, fitted. Raises DataError."""
        return self.source(index).fitted(self.padding)

    def source(self, index: int) -> Source:
        """Return what of a sample the network may see, not to be written to. Raises DataError."""
        kept = self._kept[index]
        if kept is None:
            kept = self._read(self.samples[index])
            if self.keeps and kept.nbytes <= self._room:  # later samples may be larger than the first
                self._room -= kept.nbytes
                self._kept[index] = kept
        return kept

    def _read(self, sample: Sample) -> Source:
        image, class_map = sample.read()
        source = Source.cut(image, class_map, self._placement(class_map), sample.classes.ignore_index)
        return source if self.keeps_detail else source.reduced()

    def _placement(self, class_map: Mask) -> Placement:
        return place(Size(*class_map.shape), self.size, self.fit, self.crop)

    def class_shares(self, classes: int, on_progress: OnProgress = ignore_progress) -> NDArray[np.float64]:
        """Return each class's share of the labelled pixels, (classes,) float64; see class_counts."""
        return self.class_counts(classes, on_progress).shares

    def class_counts(
        self, classes: int, on_progress: OnProgress = ignore_progress, seen: SplitCount | None = None
    ) -> ClassCounts:
        """Count the pixels of each class, for the whole split from at most SHARES_FROM samples of it.

        Args:
            classes: number of classes.
            on_progress: called with the number of samples done so far; what it raises ends the reading.
            seen: the labels that are read are counted there too.

        Raises:
            DataError: a sample cannot be read, or none has a labelled pixel.
        """
        seen = SplitCount() if seen is None else seen
        seen.samples = len(self)
        chosen = np.unique(np.linspace(0, len(self) - 1, min(len(self), SHARES_FROM)).astype(int))
        pixels, labelled_where_present = np.zeros(classes), np.zeros(classes)
        for done, counted in enumerate(map_in_order(self._count, chosen, FEW_AHEAD, reading_threads()), start=1):
            seen.add(counted, classes)
            pixels += counted[:classes]
            labelled_where_present += (counted[:classes] > 0) * counted[:classes].sum()
            on_progress(done)
        if not pixels.any():
            raise nothing_labelled(len(chosen), "training")
        whole = len(self) / len(chosen)
        return ClassCounts(pixels * whole, labelled_where_present * whole)

    def _count(self, index: int) -> NDArray[np.int64]:
        """Count the pixels of each id of a class map, (256,) int64; pictures are only read if they are kept."""
        if self.keeps:
            class_map = self[index][1]
        else:
            sample = self.samples[index]
            whole = sample.read_class_map()
            class_map = fit_class_map(whole, self._placement(whole), sample.classes.ignore_index)
        return count_ids(class_map)


class TrainingBatches:
    """Batches for the training loop, from step `first_step` on.

    Iterating yields, without end, ((B, H, W, 3) uint8 BGR, (B, H, W) uint8 class maps).

    Args:
        samples: at network size.
        batch: pictures a step; an epoch is `steps_per_epoch` full batches, what is left over is met in other epochs.
        seed: decides order and augmentation.
        augmentation: what happens to the pictures.
        window: the size of what is yielded: parts of the fitted pictures at random places; the network's size if None.
    """

    def __init__(
        self, samples: FittedSamples, batch: int, seed: int, augmentation: Augmentation, window: Size | None = None
    ) -> None:
        check_batch(batch, len(samples))
        self.samples, self.batch, self.seed, self.augmentation = samples, batch, seed, augmentation
        self.steps_per_epoch = len(samples) // batch
        self.window = window or samples.size
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))
        self._failure: EdgesegError | None = None

    def iterate(self, first_step: int = 0) -> Generator[tuple[Any, Any], None, None]:
        """Yield batches from `first_step` on. Raises DataError for a sample that cannot be read."""
        batches = self._iterate(first_step)
        _OPEN.add(batches)
        return batches

    def _iterate(self, first_step: int) -> Generator[tuple[Any, Any], None, None]:
        try:
            yield from self.stream(first_step)
        except tf.errors.OpError:
            if self._failure:
                raise self._failure from None
            raise

    def stream(self, first_step: int = 0) -> Any:
        """Return the batches from `first_step` on as a tf.data.Dataset."""
        stream = tf.data.Dataset.range(first_step * self.batch, np.iinfo(np.int64).max)
        stream = stream.map(self._sample, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        stream = stream.batch(self.batch, drop_remainder=True)
        return stream.prefetch(4)

    def index(self, position: int) -> int:
        """Return the sample at a position of the stream; each epoch has its own order."""
        epoch, place_in_epoch = divmod(position, self.steps_per_epoch * self.batch)
        known, order = self._order
        if known != epoch:
            order = np.random.default_rng((self.seed, epoch)).permutation(len(self.samples))
            self._order = (epoch, order)
        return int(order[place_in_epoch])

    def _read(self, position: NDArray[np.int64]) -> tuple[Image, Mask]:
        try:
            source = self.samples.source(self.index(int(position)))
        except EdgesegError as error:  # tf.data would turn it into a text with a traceback
            self._failure = self._failure or error
            raise
        random = np.random.default_rng((self.seed, 1, int(position)))
        matrix = draw_map(self.augmentation, random, self.samples.size, self.window)
        warped = warp(source, matrix, self.window)
        recoloured = warped._replace(image=change_colours(warped.image, self.augmentation, random))
        return paint_padding(recoloured, self.samples.padding), warped.class_map

    def _sample(self, position: Any) -> tuple[Any, Any]:
        image, class_map = tf.numpy_function(self._read, [position], [tf.uint8, tf.uint8])
        return tf.ensure_shape(image, (*self.window, 3)), tf.ensure_shape(class_map, self.window)


_OPEN: WeakSet[Generator[tuple[Any, Any], None, None]] = WeakSet()


@atexit.register
def _close_streams() -> None:
    """End what a traceback may still hold: a stream that reads on while Python exits hangs it, waiting for its lock."""
    for batches in list(_OPEN):
        batches.close()
