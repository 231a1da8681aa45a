"""The training input: an endless stream of batches that is a pure function of the seed and the step.

So a run repeats, and a resumed run goes on where it stopped. Reading, fitting and mirroring are NumPy and OpenCV on
tf.data's threads; colour is changed a batch at a time by TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.class_balance import ClassCounts
from edgeseg.data.augment import Augmentation, augment_shape
from edgeseg.data.base import Image, Mask, Sample
from edgeseg.data.fit import PixelColour, fit_class_map, fit_image
from edgeseg.data.memory import MIB, OnProgress, ignore_progress, nothing_labelled, read_in_order
from edgeseg.errors import EdgesegError, UsageError
from edgeseg.geometry import Crop, Size, place
from edgeseg.tf import tf

SHARES_FROM = 500  # so many masks give the class shares well enough, however large the data set
GREY = (0.114, 0.587, 0.299)  # BGR weights of ITU-R BT.601


class FittedSamples:
    """Samples at the network's size, kept in memory after their first reading if all of them fit.

    Args:
        samples: what to read.
        size, fit, crop: see edgeseg.geometry.place.
        padding: BGR colour of what a picture does not reach.
        cache_bytes: what the pictures and masks may take in memory; more than that and none is kept.
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
        needed = len(samples) * size.height * size.width * 4
        self.keeps = needed <= cache_bytes
        self.kept_bytes = needed if self.keeps else 0
        kept = len(samples) if self.keeps else 0
        self._images = np.empty((kept, *size, 3), np.uint8)
        self._class_maps = np.empty((kept, *size), np.uint8)
        self._is_kept = np.zeros(len(samples), bool)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Image, Mask]:
        """Return the picture (H, W, 3) and class map (H, W), both uint8. Raises DataError."""
        if self._is_kept[index]:
            return self._images[index], self._class_maps[index]
        image, class_map = self._read(self.samples[index])
        if self.keeps:
            self._images[index], self._class_maps[index] = image, class_map
            self._is_kept[index] = True  # last: other threads read as soon as they see it
        return image, class_map

    def class_shares(self, classes: int, on_progress: OnProgress = ignore_progress) -> NDArray[np.float64]:
        """Return each class's share of the labelled pixels, (classes,) float64; see class_counts."""
        return self.class_counts(classes, on_progress).shares

    def class_counts(self, classes: int, on_progress: OnProgress = ignore_progress) -> ClassCounts:
        """Count the pixels of each class, for the whole split from at most SHARES_FROM samples of it.

        Args:
            classes: number of classes.
            on_progress: called with the number of samples done so far; what it raises ends the reading.

        Raises:
            DataError: a sample cannot be read, or none has a labelled pixel.
        """
        chosen = np.unique(np.linspace(0, len(self) - 1, min(len(self), SHARES_FROM)).astype(int))
        pixels, labelled_where_present = np.zeros(classes), np.zeros(classes)
        for done, counted in enumerate(read_in_order(self._count, chosen), start=1):
            pixels += counted[:classes]
            labelled_where_present += (counted[:classes] > 0) * counted[:classes].sum()
            on_progress(done)
        if not pixels.any():
            raise nothing_labelled(len(chosen), "training")
        whole = len(self) / len(chosen)
        return ClassCounts(pixels * whole, labelled_where_present * whole)

    def check_labelled(self, on_progress: OnProgress = ignore_progress) -> None:
        """Read masks until one has a labelled pixel. Raises DataError if none has; see class_shares."""
        for index in range(len(self)):
            if self._count(index)[:-1].any():
                return
            on_progress(index + 1)
        raise nothing_labelled(len(self), "training")

    def _count(self, index: int) -> NDArray[np.int64]:
        """Count the pixels of each id of a class map, (256,) int64; pictures are only read if they are kept."""
        if self.keeps:
            class_map = self[index][1]
        else:
            sample = self.samples[index]
            whole = sample.read_class_map()
            placement = place(Size(*whole.shape), self.size, self.fit, self.crop)
            class_map = fit_class_map(whole, placement, sample.classes.ignore_index)
        return np.bincount(class_map.ravel(), minlength=256)

    def _read(self, sample: Sample) -> tuple[Image, Mask]:
        image, class_map = sample.read()
        placement = place(Size(*class_map.shape), self.size, self.fit, self.crop)
        return (
            fit_image(image, placement, self.padding),
            fit_class_map(class_map, placement, sample.classes.ignore_index),
        )


class TrainingBatches:
    """Batches for the training loop, from step `first_step` on.

    Iterating yields, without end, ((B, H, W, 3) float32 BGR pixels of 0 to 255, (B, H, W) uint8 class maps).

    Args:
        samples: at network size.
        batch: pictures a step; an epoch is `steps_per_epoch` full batches, what is left over is met in other epochs.
        seed: decides order and augmentation.
        augmentation: what happens to the pictures.
    """

    def __init__(self, samples: FittedSamples, batch: int, seed: int, augmentation: Augmentation) -> None:
        if batch > len(samples):
            raise UsageError(
                f"batch {batch} with {len(samples)} training images; use a batch of at most {len(samples)}"
            )
        self.samples, self.batch, self.seed, self.augmentation = samples, batch, seed, augmentation
        self.steps_per_epoch = len(samples) // batch
        self._pads = samples.fit == "pad"
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))
        self._failure: EdgesegError | None = None

    def iterate(self, first_step: int = 0) -> Iterator[tuple[Any, Any]]:
        """Yield batches from `first_step` on. Raises DataError for a sample that cannot be read."""
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
        stream = stream.enumerate(first_step).map(self._finish, num_parallel_calls=tf.data.AUTOTUNE)
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
            image, class_map = self.samples[self.index(int(position))]
        except EdgesegError as error:  # tf.data would turn it into a text with a traceback
            self._failure = self._failure or error
            raise
        random = np.random.default_rng((self.seed, 1, int(position)))
        return augment_shape(image, class_map, self.augmentation, random)

    def _sample(self, position: Any) -> tuple[Any, Any]:
        image, class_map = tf.numpy_function(self._read, [position], [tf.uint8, tf.uint8])
        return tf.ensure_shape(image, (*self.samples.size, 3)), tf.ensure_shape(class_map, self.samples.size)

    def _finish(self, step: Any, batch: tuple[Any, Any]) -> tuple[Any, Any]:
        images, class_maps = batch
        pixels = tf.cast(images, tf.float32)
        if self.augmentation.changes_colour:
            jittered = jitter_colour(pixels, self.augmentation, tf.stack([self.seed, step]))
            pixels = tf.where(self._is_padding(pixels, class_maps), pixels, jittered) if self._pads else jittered
        return pixels, class_maps

    def _is_padding(self, pixels: Any, class_maps: Any) -> Any:
        """Which pixels, (B, H, W, 1), are padding: it keeps its colour, as in the vehicle.

        A picture's own pixel of exactly that colour and without a label is taken for padding too; it teaches nothing.
        """
        unlabelled = class_maps == self.samples.samples[0].classes.ignore_index
        return unlabelled[..., None] & tf.reduce_all(pixels == self.samples.padding, axis=-1, keepdims=True)


def jitter_colour(pixels: Any, settings: Augmentation, seed: Any) -> Any:
    """Change brightness, contrast and saturation of (B, H, W, 3) float32 BGR pixels of 0 to 255, each picture its own.

    Written out over the batch: tf.image.stateless_random_saturation goes through HSV and takes ten times as long.
    """
    spread = tf.constant([settings.brightness, settings.contrast, settings.saturation], tf.float32)[
        :, None, None, None, None
    ]
    shape = (3, tf.shape(pixels)[0], 1, 1, 1)
    brightness, contrast, saturation = tf.unstack(1 + spread * tf.random.stateless_uniform(shape, seed, -1.0, 1.0))
    mean = tf.reduce_mean(pixels, axis=(1, 2), keepdims=True)
    grey = tf.reduce_sum(pixels * GREY, axis=-1, keepdims=True)
    mean_grey = tf.reduce_sum(mean * GREY, axis=-1, keepdims=True)
    coloured = grey + (pixels - grey) * saturation
    return tf.clip_by_value(((coloured - mean_grey) * contrast + mean_grey) * brightness, 0.0, 255.0)
