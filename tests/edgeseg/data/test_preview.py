"""`edgeseg data preview`: what is shown is what training is fed with, and picture and labels move together."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edgeseg.commands.main import cli
from edgeseg.core.errors import DataError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.data.feeding.augment import NONE, Augmentation
from edgeseg.data.feeding.pipeline import FittedSamples, TrainingBatches
from edgeseg.data.feeding.preview import network_views, spread
from tests.helpers.training import ArraySample, write_camvid


def samples(count: int) -> list[ArraySample]:
    """Return samples whose picture says which class each pixel is: light where the class is light."""
    random = np.random.default_rng(3)
    masks = [random.integers(0, 2, (24, 40), dtype=np.uint8) for _ in range(count)]
    return [
        ArraySample(np.repeat(mask[:, :, None] * 100 + 20 * n, 3, axis=2).astype(np.uint8), mask, name=f"s{n}")
        for n, mask in enumerate(masks)
    ]


def test_pictures_and_labels_move_together_and_the_draws_differ() -> None:
    fitted = FittedSamples(samples(3), Size(24, 40))
    views = network_views(fitted, replace(NONE, flip=0.5), draws=6, seed=0)
    assert [view.name for view in views] == ["s0", "s1", "s2"]
    for n, view in enumerate(views):
        assert len(view.draws) == 6
        for image, class_map in (view.plain, *view.draws):
            np.testing.assert_array_equal(image[:, :, 0], class_map * 100 + 20 * n)  # each draw in its picture's row
        assert len({class_map.tobytes() for _, class_map in view.draws}) > 1


def test_the_draws_are_those_of_a_training_run_and_repeat() -> None:
    fitted = FittedSamples(samples(2), Size(16, 32))
    views = network_views(fitted, Augmentation(), draws=3, seed=5)
    batches = TrainingBatches(fitted, 1, 5, Augmentation())
    trained: list[tuple[Any, Any]] = [(x.numpy()[0], y.numpy()[0]) for x, y in islice(batches.iterate(), 6)]
    for position, (pixels, class_map) in enumerate(trained):
        image, shown = views[batches.index(position)].draws[position // 2]
        np.testing.assert_allclose(image, pixels, atol=0.51)
        np.testing.assert_array_equal(shown, class_map)
    assert not np.array_equal(views[0].draws[0][0], views[0].plain[0])


def test_the_draws_are_windows_of_the_train_size() -> None:
    (view, *_) = network_views(FittedSamples(samples(1), Size(24, 40)), Augmentation(), 2, seed=1, window=Size(8, 12))
    assert view.plain[1].shape != (8, 12)
    assert [class_map.shape for _, class_map in view.draws] == [(8, 12)] * 2


def test_without_augmentation_a_picture_is_only_fitted() -> None:
    fitted = FittedSamples(samples(1), Size(12, 20))
    (view,) = network_views(fitted, None, draws=4, seed=0)
    assert view.draws == []
    np.testing.assert_array_equal(view.plain[0], fitted[0][0])


def test_pictures_are_spread_over_the_split() -> None:
    listed = samples(9)
    assert [each.name for each in spread(listed, 3)] == ["s0", "s4", "s8"]
    assert len(spread(listed, 100)) == 9
    assert [each.name for each in spread(listed, 1)] == ["s0"]


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--augment",),
        ("--train-size", "32x32"),
        ("--rotation", "9", "--crop", "0,8,96,64"),
        ("--fit", "pad", "--count", "1", "--split", "val"),
    ],
)
def test_the_command_writes_a_picture(tmp_path: Path, options: tuple[str, ...]) -> None:
    camvid = write_camvid(tmp_path / "camvid", train=3, val=2)
    out = tmp_path / "new" / "preview.png"
    command = ["data", "preview", f"camvid:{camvid}", "--out", str(out), "--size", "64x32", "--count", "2", *options]
    result = CliRunner().invoke(cli, command, standalone_mode=False)
    assert result.exception is None, result.exception
    drawn = cv2.imread(str(out))
    assert drawn is not None
    assert drawn.std() > 20
    assert [path.name for path in out.parent.iterdir()] == ["preview.png"]


def test_sizes_are_those_that_training_would_take(tmp_path: Path) -> None:
    data = "scenes:train=2,val=1,test=1,size=640x360"
    done = CliRunner().invoke(cli, ["data", "preview", data, "--augment", "--out", str(tmp_path / "p.png")])
    assert "2 of 2 pictures of train at 544x320, draws of 384x256: " in done.output, done.exception


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        (("--split", "trian"), DataError, "did you mean train"),
        (("--crop", "0,0,500,10"), UsageError, "lies outside the picture of 96x72"),
        (("--noise", "101"), click.UsageError, "101 is not a number from 0 to 100"),
        (("--train-size", "9999x32"), UsageError, "train size 9999x32 is larger than size"),
        (("--fit", "squeeze"), UsageError, "expected one of stretch"),
        (("--out", "."), UsageError, "is a folder"),
        (("--out", "preview"), UsageError, "expected a name that ends in .png"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, options: tuple[str, ...], kind: type[Exception], said: str) -> None:
    camvid = write_camvid(tmp_path / "camvid", train=2, val=1)
    command = ["data", "preview", f"camvid:{camvid}", "--out", str(tmp_path / "p.png"), *options]
    error = CliRunner().invoke(cli, command, standalone_mode=False).exception
    assert isinstance(error, kind)
    assert said in str(error)
    assert not (tmp_path / "p.png").exists()
