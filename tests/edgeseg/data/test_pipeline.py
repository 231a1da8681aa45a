"""The training input: geometry, augmentation, repeatability."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import islice
from typing import Any

import cv2
import numpy as np
import pytest

from edgeseg.core.errors import DataError, UsageError
from edgeseg.core.geometry import Size, place
from edgeseg.core.labels import ClassMap
from edgeseg.data.base import Sample
from edgeseg.data.feeding import pipeline
from edgeseg.data.feeding.augment import NONE, Augmentation
from edgeseg.data.feeding.fit import fit_class_map, fit_image
from edgeseg.data.feeding.pipeline import FittedSamples, TrainingBatches
from edgeseg.tf import tf
from tests.helpers.places import ROOT
from tests.helpers.training import TWO_CLASSES, ArraySample

PICTURE = Size(30, 50)
NETWORK = Size(32, 64)


def samples(count: int = 6) -> list[Sample]:
    random = np.random.default_rng(1)
    return [
        ArraySample(
            random.integers(0, 256, (*PICTURE, 3), dtype=np.uint8), random.integers(0, 2, PICTURE, dtype=np.uint8)
        )
        for _ in range(count)
    ]


def taken(batches: TrainingBatches, steps: int, first_step: int = 0) -> list[tuple[Any, Any]]:
    return [(x.numpy(), y.numpy()) for x, y in islice(batches.iterate(first_step), steps)]


def test_images_resize_as_the_exported_graph_does() -> None:
    image = samples(1)[0].read_image()
    fitted = fit_image(image, place(PICTURE, NETWORK), (0, 0, 0))
    assert np.array_equal(fitted, cv2.resize(image, (64, 32), interpolation=cv2.INTER_LINEAR))
    graph = tf.image.resize(image, NETWORK, "bilinear", antialias=False).numpy()
    assert np.abs(fitted - graph).max() <= 1  # rounding to whole grey levels
    area = cv2.resize(cv2.resize(image, (25, 15), interpolation=cv2.INTER_AREA), (64, 32))
    assert np.abs(fitted.astype(int) - area).max() > 20  # the test can tell


def test_masks_resize_by_nearest_and_invent_no_class() -> None:
    class_map = np.zeros((4, 4), np.uint8)
    class_map[:, 2:] = 10
    fitted = fit_class_map(class_map, place(Size(4, 4), Size(8, 8)), 255)
    assert np.array_equal(fitted[0], [0, 0, 0, 0, 10, 10, 10, 10])
    # Reduced 3 times: the centre of each 3x3 block, where the linear image looks too.
    ids = np.arange(81, dtype=np.uint8).reshape(9, 9)
    assert np.array_equal(fit_class_map(ids, place(Size(9, 9), Size(3, 3)), 255), ids[1::3, 1::3])


def test_padding_is_the_mean_colour_and_ignored() -> None:
    placement = place(Size(10, 10), Size(10, 20), "pad")
    image = fit_image(np.zeros((10, 10, 3), np.uint8), placement, (104, 117, 124))
    class_map = fit_class_map(np.zeros((10, 10), np.uint8), placement, 255)
    assert np.array_equal(image[0, 0], (104, 117, 124))
    assert np.array_equal(np.flatnonzero(class_map[0] == 255), [*range(5), *range(15, 20)])
    assert not image[:, 5:15].any()


def test_without_augmentation_each_epoch_shows_each_sample_once() -> None:
    source = samples(6)
    fitted = FittedSamples(source, NETWORK)
    batches = TrainingBatches(fitted, batch=2, seed=3, augmentation=NONE)
    assert batches.steps_per_epoch == 3
    shown = np.concatenate([x for x, _ in taken(batches, 3)])
    labels = np.concatenate([y for _, y in taken(batches, 3)])
    for index in range(6):
        image, class_map = fitted[index]
        hits = [np.array_equal(each, image) for each in shown]
        assert sum(hits) == 1
        assert np.array_equal(labels[hits.index(True)], class_map)


def test_the_stream_repeats_under_a_seed_and_goes_on_where_it_stopped() -> None:
    def fresh(seed: int) -> TrainingBatches:
        return TrainingBatches(FittedSamples(samples(6), NETWORK), 2, seed, Augmentation())

    first, again, other = taken(fresh(3), 7), taken(fresh(3), 7), taken(fresh(4), 7)
    for (x, y), (x_again, y_again) in zip(first, again, strict=True):
        assert np.array_equal(x, x_again)
        assert np.array_equal(y, y_again)
    assert not all(np.array_equal(x, x_other) for (x, _), (x_other, _) in zip(first, other, strict=True))
    resumed = taken(fresh(3), 3, first_step=4)
    for (x, y), (x_resumed, y_resumed) in zip(first[4:], resumed, strict=True):
        assert np.array_equal(x, x_resumed)
        assert np.array_equal(y, y_resumed)
    assert not np.array_equal(first[0][0], first[3][0])  # the next epoch has another order


@pytest.mark.parametrize("cache_bytes", [0, 10**9])
def test_samples_are_read_once_if_they_fit_in_memory(cache_bytes: int) -> None:
    reads = []

    class Counted(ArraySample):
        def _image(self) -> Any:
            reads.append(self.name)
            return super()._image()

    image, class_map = samples(1)[0].read()
    fitted = FittedSamples([Counted(image, class_map)] * 2, NETWORK, cache_bytes=cache_bytes)
    for _ in range(3):
        assert fitted[0][0].shape == (*NETWORK, 3)
    assert len(reads) == (1 if cache_bytes else 3)
    assert fitted.kept_bytes == (2 * 30 * 50 * 4 if cache_bytes else 0)


def test_class_shares_leave_ignored_pixels_out() -> None:
    class_map = np.array([[0, 0, 0, 1], [255, 255, 255, 255]], np.uint8)
    fitted = FittedSamples([ArraySample(np.zeros((2, 4, 3), np.uint8), class_map)], Size(2, 4))
    np.testing.assert_allclose(fitted.class_shares(len(TWO_CLASSES)), [0.75, 0.25])


def test_a_sample_that_cannot_be_read_is_the_error_of_the_stream() -> None:
    broken = ArraySample(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3), np.uint8), name="broken.png")
    batches = TrainingBatches(FittedSamples([broken], NETWORK), 1, 0, NONE)
    with pytest.raises(DataError, match=r"broken\.png: the image is 2x2, its mask 3x2"):
        taken(batches, 1)


def test_a_batch_larger_than_the_data_is_refused() -> None:
    with pytest.raises(UsageError, match="batch 7 with 6 training images"):
        TrainingBatches(FittedSamples(samples(6), NETWORK), 7, 0, NONE)


def test_each_step_has_a_colour_jitter_of_its_own_and_padding_none() -> None:
    grey = ArraySample(np.full((10, 10, 3), 100, np.uint8), np.zeros((10, 10), np.uint8))
    fitted = FittedSamples([grey], Size(10, 20), "pad", padding=(104, 117, 124))
    batches = TrainingBatches(fitted, 1, 3, replace(NONE, brightness=0.2, noise=5, blur=2))
    first, second = (x[0] for x, _ in taken(batches, 2))
    for x in (first, second):
        np.testing.assert_array_equal(x[:, :5], np.broadcast_to((104, 117, 124), (10, 5, 3)))
        np.testing.assert_array_equal(x[:, 15:], x[:, :5])
        assert x[0, 5, 0] != 100
    assert not np.array_equal(first, second)


def test_labels_are_counted_without_pictures_unless_these_are_kept() -> None:
    class NoPicture(ArraySample):
        def _image(self) -> Any:
            raise AssertionError("a picture was read for nothing")

    fitted = FittedSamples([NoPicture(*samples(1)[0].read())], NETWORK, cache_bytes=0)
    assert fitted.class_shares(2).sum() == 1


FULL = Augmentation(zoom=0.3, rotation=20, translation=0.2, hue=30, white_balance=0.3, blur=2, noise=10)


@pytest.mark.parametrize("detail_bytes", [0, 10**9])
def test_memory_changes_no_batch(monkeypatch: pytest.MonkeyPatch, detail_bytes: int) -> None:
    """Pictures are taken at their own size or at the network's by what the data is, not by what can be kept."""
    monkeypatch.setattr(pipeline, "DETAIL_BYTES", detail_bytes)
    large = [
        ArraySample(image.repeat(4, 0).repeat(4, 1), class_map.repeat(4, 0).repeat(4, 1))
        for image, class_map in (each.read() for each in samples(4))
    ]
    streams = []
    for cache_bytes in (0, 4 * 4 * 32 * 64, 10**9):
        fitted = FittedSamples(large, NETWORK, cache_bytes=cache_bytes)
        assert fitted.keeps_detail == bool(detail_bytes)
        assert fitted.kept_bytes <= cache_bytes
        assert fitted.source(0).class_map.shape == ((120, 200) if detail_bytes else NETWORK)
        streams.append(taken(TrainingBatches(fitted, 2, 7, FULL), 4))
    for each in streams[1:]:
        for (x, y), (x_other, y_other) in zip(streams[0], each, strict=True):
            assert np.array_equal(x, x_other)
            assert np.array_equal(y, y_other)


def test_pictures_larger_than_the_first_do_not_fill_the_memory() -> None:
    small, huge = samples(1)[0], ArraySample(np.zeros((300, 500, 3), np.uint8), np.zeros((300, 500), np.uint8))
    fitted = FittedSamples([small, huge, huge], NETWORK, cache_bytes=300 * 500 * 4 + 30 * 50 * 4)
    for index in (0, 1, 2):
        fitted.source(index)
    assert fitted.source(0) is fitted.source(0)
    assert fitted.source(1) is fitted.source(1)
    assert fitted.source(2) is not fitted.source(2)


def test_a_full_augmentation_repeats_and_resumes_and_each_epoch_has_its_own() -> None:
    def stream(steps: int, first_step: int = 0) -> list[tuple[Any, Any]]:
        return taken(TrainingBatches(FittedSamples(samples(4), NETWORK), 2, 3, FULL), steps, first_step)

    first, resumed = stream(6), stream(2, first_step=4)
    for (x, y), (x_resumed, y_resumed) in zip(first[4:], resumed, strict=True):
        assert np.array_equal(x, x_resumed)
        assert np.array_equal(y, y_resumed)
    assert x.dtype == np.uint8
    one = TrainingBatches(FittedSamples(samples(1), NETWORK), 1, 3, FULL)
    draws = {x.tobytes() for x, _ in taken(one, 5)}
    assert len(draws) == 5


def test_windows_are_cut_from_all_over_the_scaled_whole_picture() -> None:
    """A picture that says of each pixel where it was: columns go from 0 to 239, 2 each, and so do the labels."""
    network, window = Size(60, 120), Size(30, 44)
    columns = np.broadcast_to(np.arange(0, 240, 2, dtype=np.uint8), network)
    classes = ClassMap(tuple(f"column {n}" for n in range(240)), tuple((n, 0, 0) for n in range(240)))
    sample = ArraySample(np.repeat(columns[..., None], 3, 2), np.ascontiguousarray(columns), classes)
    scaled = replace(NONE, scale_min=0.75, scale_max=1.75)
    shown = taken(TrainingBatches(FittedSamples([sample] * 8, network), 8, 3, scaled, window), 5)
    images, class_maps = (np.concatenate(each).astype(float) for each in zip(*shown, strict=True))
    assert images.shape == (40, *window, 3)
    assert np.abs(images[..., 0] - class_maps).max() <= 2  # within a pixel of each other
    middle = images[:, 15, :, 0]
    columns_shown = (
        (middle[:, -1] - middle[:, 0]) / 2 / (window.width - 1)
    )  # so many of the picture in one of the window
    assert 1 / 1.75 - 0.02 < columns_shown.min() < 0.7
    assert 1 < columns_shown.max() < 1 / 0.75 + 0.02
    assert middle.min() < 20
    assert middle.max() > 220


def test_a_stream_that_a_traceback_holds_does_not_hang_the_exit() -> None:
    program = """
import sys
sys.path[:0] = ["."]
from tests.edgeseg.data import test_pipeline as t
streams = [t.TrainingBatches(t.FittedSamples(t.samples(6), t.Size(256, 256)), 2, s, t.FULL).iterate() for s in range(3)]
for stream in streams:
    next(stream)
raise SystemExit(7)
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=180, check=False)
    assert ended.returncode == 7
