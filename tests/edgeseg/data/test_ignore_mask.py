"""The bonnet: labels under a fixed mask are ignored by whatever reads the data, and move with the picture."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg.core.errors import DataError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.data.argument import open_dataset
from edgeseg.data.feeding.augment import NONE
from edgeseg.data.feeding.pipeline import FittedSamples, TrainingBatches
from tests.helpers.training import PICTURE_SIZE, write_camvid

HEIGHT, WIDTH = PICTURE_SIZE
BONNET = np.s_[60:, 30:60]


def write_mask(path: Path, scale: int = 1, channels: int = 1) -> Path:
    mask = np.zeros((HEIGHT, WIDTH, channels), np.uint8)
    mask[BONNET] = 200
    cv2.imwrite(str(path), mask.repeat(scale, 0).repeat(scale, 1))
    return path


@pytest.mark.parametrize(("scale", "channels"), [(1, 1), (2, 3)])
def test_labels_under_the_mask_are_ignored_in_every_split_and_others_kept(
    tmp_path: Path, scale: int, channels: int
) -> None:
    camvid = write_camvid(tmp_path / "camvid", train=2, val=1)
    mask = write_mask(tmp_path / "bonnet.png", scale, channels)
    plain = open_dataset(f"camvid:{camvid}?classes=Sky;rest=*")
    masked = open_dataset(f"camvid:{camvid}?ignore_mask={mask}&classes=Sky;rest=*")
    for split in ("train", "val"):
        for before, after in zip(plain.split(split), masked.split(split), strict=True):
            expected = before.read_class_map().copy()
            assert (expected[BONNET] != 255).any()
            expected[BONNET] = 255
            np.testing.assert_array_equal(after.read_class_map(), expected)
            np.testing.assert_array_equal(after.read()[1], expected)
            np.testing.assert_array_equal(after.read_image(), before.read_image())


def test_the_mask_moves_with_the_picture(tmp_path: Path) -> None:
    camvid = write_camvid(tmp_path / "camvid", train=1)
    mask = write_mask(tmp_path / "bonnet.png")
    samples = open_dataset(f"camvid:{camvid}?ignore_mask={mask}").split("train")
    batches = TrainingBatches(FittedSamples(samples, Size(*PICTURE_SIZE)), 1, 0, replace(NONE, flip=1))
    ((_, class_maps),) = islice(batches.iterate(), 1)
    assert (class_maps.numpy()[0, 60:, WIDTH - 60 : WIDTH - 30] == 255).all()
    assert (class_maps.numpy()[0, 60:68, WIDTH - 30 :] != 255).all()


def test_a_mask_that_does_not_fit_is_said(tmp_path: Path) -> None:
    camvid = write_camvid(tmp_path / "camvid", train=1)
    other = tmp_path / "other.png"
    cv2.imwrite(str(other), np.zeros((50, 50), np.uint8))
    sample = open_dataset(f"camvid:{camvid}?ignore_mask={other}").split("train")[0]
    with pytest.raises(DataError, match=r"000\.png: 96x72, but the ignore mask .*other\.png is 50x50; expected one"):
        sample.read()
    with pytest.raises(DataError, match=r"missing\.png"):
        open_dataset(f"camvid:{camvid}?ignore_mask=missing.png")
    with pytest.raises(UsageError, match="did you mean ignore_mask"):
        open_dataset(f"camvid:{camvid}?ignoremask=missing.png")
