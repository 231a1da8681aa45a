"""Data sets: what is read, and what each kind of bad input says."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg.core.errors import DataError, UsageError
from edgeseg.data.argument import open_dataset
from edgeseg.data.registry import FORMATS
from edgeseg.data.wrappers import remembered
from tests.helpers.places import SHARED
from tests.helpers.training import TWO_CLASSES, ArraySample, write_camvid


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    return write_camvid(tmp_path / "camvid", train=3, val=2)


def mask(camvid: Path) -> Path:
    return camvid / "trainannot" / "001.png"


def picture(path: Path, flags: int = cv2.IMREAD_COLOR) -> np.ndarray:
    decoded = cv2.imread(str(path), flags)
    assert decoded is not None
    return decoded


def test_camvid_reads_images_as_bgr_and_ids_unchanged(camvid: Path) -> None:
    dataset = open_dataset(f"camvid:{camvid}")
    assert dataset.splits == ("train", "val")
    assert dataset.classes.names[3] == "Road"
    samples = dataset.split("train")
    assert len(samples) == 3
    image, class_map = samples[1].read()
    assert np.array_equal(image, picture(camvid / "train" / "001.png"))
    raw = picture(mask(camvid), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(class_map, np.where(raw == 11, 255, raw))
    assert (class_map == 255).any()


def unknown_id(camvid: Path) -> None:
    cv2.imwrite(str(mask(camvid)), np.full((72, 96), 77, np.uint8))


def other_size(camvid: Path) -> None:
    cv2.imwrite(str(mask(camvid)), np.zeros((70, 96), np.uint8))


def coloured(camvid: Path) -> None:
    cv2.imwrite(str(mask(camvid)), np.full((72, 96, 3), (1, 2, 3), np.uint8))


def sixteen_bit(camvid: Path) -> None:
    cv2.imwrite(str(mask(camvid)), np.full((72, 96), 300, np.uint16))


def zero_bytes(camvid: Path) -> None:
    mask(camvid).write_bytes(b"")


def half_written(camvid: Path) -> None:
    mask(camvid).write_bytes(mask(camvid).read_bytes()[:-40])


def no_image_at_all(camvid: Path) -> None:
    mask(camvid).write_text("a text that calls itself a PNG")


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (unknown_id, "class id 77"),
        (other_size, "96x70"),
        (coloured, "3 channel"),
        (sixteen_bit, "class id 300 found at x 0, y 0"),
        (zero_bytes, r"damaged \(empty\)"),
        (half_written, r"damaged \(cut short in chunk IDAT"),
        (no_image_at_all, "no readable image"),
    ],
)
def test_a_damaged_mask_is_named(camvid: Path, damage: object, expected: str) -> None:
    damage(camvid)  # type: ignore[operator]
    samples = open_dataset(f"camvid:{camvid}").split("train")
    samples[0].read()
    with pytest.raises(DataError, match=expected) as caught:
        samples[1].read()
    assert str(mask(camvid)) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_disappears_is_named(camvid: Path) -> None:
    samples = open_dataset(f"camvid:{camvid}").split("train")
    (camvid / "train" / "000.png").unlink()
    with pytest.raises(DataError, match=r"train/000\.png: cannot be read"):
        samples[0].read_image()


def test_an_image_without_a_mask(camvid: Path) -> None:
    mask(camvid).unlink()
    with pytest.raises(DataError, match=r"001\.png: no mask"):
        open_dataset(f"camvid:{camvid}").split("train")


def test_an_empty_split(camvid: Path) -> None:
    for file in (*(camvid / "val").iterdir(), *(camvid / "valannot").iterdir()):
        file.unlink()
    with pytest.raises(DataError, match="'val' is empty"):
        open_dataset(f"camvid:{camvid}").split("val")


def test_an_unknown_split_names_the_known_ones(camvid: Path) -> None:
    with pytest.raises(DataError, match=r"did you mean train.*train, val"):
        open_dataset(f"camvid:{camvid}").split("trian")


@pytest.mark.parametrize(
    ("argument", "error", "expected"),
    [
        ("camvid:/nowhere/at/all", DataError, "no such folder"),
        ("camvdi:x", UsageError, "did you mean camvid"),
        ("/just/a/path", UsageError, "FORMAT:PATH"),
        ("scenes:trian=3", DataError, "did you mean train"),
        ("scenes:train=many", UsageError, "whole number"),
    ],
)
def test_a_wrong_argument(argument: str, error: type[Exception], expected: str) -> None:
    with pytest.raises(error, match=expected):
        open_dataset(argument)


def test_a_folder_without_splits(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no split found"):
        open_dataset(f"camvid:{tmp_path}")


def test_scenes_repeat_and_share_no_seed_between_splits() -> None:
    dataset = open_dataset("scenes:train=4,val=3,test=2,seed=9,size=64x32")
    splits = {name: dataset.split(name) for name in dataset.splits}
    assert {name: len(samples) for name, samples in splits.items()} == {"train": 4, "val": 3, "test": 2}
    seeds = [sample.seed for samples in splits.values() for sample in samples]  # type: ignore[attr-defined]
    assert len(set(seeds)) == 9
    image, class_map = splits["val"][0].read()
    assert image.shape == (32, 64, 3)
    again = open_dataset("scenes:val=3,seed=9,size=64x32").split("val")[0].read()
    assert np.array_equal(image, again[0])
    assert np.array_equal(class_map, again[1])
    other = open_dataset("scenes:val=3,seed=10,size=64x32").split("val")[0].read()
    assert not np.array_equal(image, other[0])


def test_the_real_camvid_if_it_is_there() -> None:
    root = SHARED / "camvid"
    if not root.is_dir():
        pytest.skip(f"{root} is not there")
    dataset = open_dataset(f"camvid:{root}")
    assert (len(dataset.split("train")), len(dataset.split("val"))) == (367, 101)
    dataset.split("val")[50].read()


def test_every_format_of_the_table_can_be_imported() -> None:
    for name in FORMATS:
        with pytest.raises((DataError, UsageError)):
            open_dataset(f"{name}:/nowhere")


def test_small_splits_are_remembered_and_large_ones_are_not() -> None:
    sample = ArraySample(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8))
    kept = remembered([sample, sample], limit_bytes=2 * 8 * 8 * 4)
    assert kept[1].read()[0] is kept[1].read()[0]
    assert remembered([sample, sample], limit_bytes=2 * 8 * 8 * 4 - 1) == [sample, sample]
    assert kept[0].classes == TWO_CLASSES
