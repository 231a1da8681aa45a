"""Splits by drive: seeded, by share, and never with neighbours on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.core.errors import DataError, UsageError
from edgeseg.data.argument import open_dataset
from edgeseg.data.splits import SplitRule, drive_of, sequence_of, split_by_drive
from edgeseg.data.tools.pack import write_pack
from edgeseg.data.tools.pack_settings import PackSettings
from edgeseg.data.wrappers import remembered
from tests.helpers.data import write_mask, write_picture
from tests.helpers.training import write_camvid


@pytest.mark.parametrize(
    ("name", "drive"),
    [
        ("0016E5_07959", "0016E5"),
        ("um_000012", "um"),
        ("000123_10", "000123"),
        ("aachen_000000_000019_leftImg8bit", "aachen_000000"),
        ("frankfurt_000000_000294_gtFine_labelIds", "frankfurt_000000"),
        ("0006R0_f00930", "0006R0"),
        ("2024-05-01_12-30-00_0001", "2024-05-01_12-30-00"),
        ("drive1_frame12", "drive1_frame"),
        ("frame12", "frame"),
        ("f0001", "f"),
        ("monday/0001", "monday/"),
        ("a (3)", "a"),
        ("0007", ""),
        ("no-number", "no-number"),
        ("1305031102.175304", ""),
        ("left/1305031102_175304", "left/"),
        ("2026-05-01_12-30-45", "2026-05-01"),
        ("2026-05-01T12:30:45.5", "2026-05-01"),
    ],
)
def test_the_drive_of_a_name(name: str, drive: str) -> None:
    assert sequence_of(name) == drive


def names(drives: int, frames: int) -> list[str]:
    return [f"drive{drive:02}_{frame:04}" for drive in range(drives) for frame in range(frames)]


@given(st.integers(1, 12), st.integers(1, 9), st.integers(0, 99), st.floats(0, 0.5), st.floats(0, 0.4))
def test_every_picture_is_in_one_split_and_no_drive_is_cut(
    drives: int, frames: int, seed: int, val: float, test: float
) -> None:
    listed = names(drives, frames)
    splits = split_by_drive(listed, SplitRule(val, test, seed))
    assert sorted(index for part in splits.values() for index in part) == list(range(len(listed)))
    assert splits["train"]
    of_drive: dict[str, set[str]] = {}
    for split, part in splits.items():
        for index in part:
            of_drive.setdefault(sequence_of(listed[index]), set()).add(split)
    assert all(len(found) == 1 for found in of_drive.values())


def test_shares_are_met_and_the_seed_decides() -> None:
    listed = names(20, 10)
    parts = {seed: split_by_drive(listed, SplitRule(0.2, 0.1, seed)) for seed in (0, 1)}
    assert {split: len(part) for split, part in parts[0].items()} == {"train": 140, "val": 40, "test": 20}
    assert parts[0] == split_by_drive(listed, SplitRule(0.2, 0.1, 0)) != parts[1]


def test_the_order_of_the_files_does_not_matter() -> None:
    listed = names(9, 3)
    backwards = listed[::-1]
    forth, back = (split_by_drive(each, SplitRule()) for each in (listed, backwards))
    assert {listed[index] for index in forth["val"]} == {backwards[index] for index in back["val"]}


def test_a_single_drive_is_train() -> None:
    assert list(split_by_drive(names(1, 50), SplitRule())) == ["train"]
    assert len(split_by_drive(names(1, 50), SplitRule.parse({"group": r"_\d\d\d"}))["val"]) == 10


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"val": "half"}, "val=half"),
        ({"val": "nan"}, "val=nan"),
        ({"val": "0.7", "test": "0.4"}, "together below 1"),
        ({"seed": "-1"}, "seed=-1"),
        ({"group": "("}, "regular expression"),
    ],
)
def test_wrong_options(options: dict[str, str], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        SplitRule.parse(options)


def test_a_pattern_that_is_not_in_a_name() -> None:
    with pytest.raises(DataError, match=r"frame12: the pattern group=\^x"):
        split_by_drive(["frame12"], SplitRule.parse({"group": "^x"}))


def write_folder(root: Path, names: Sequence[str]) -> str:
    (root / "images").mkdir(parents=True)
    (root / "classes.txt").write_text("dark\nlight\n")
    for name in names:
        write_picture(root / "images" / f"{name}.png")
        write_mask(root / "masks" / f"{name}.png", np.zeros((20, 30), np.uint8))
    return f"folder:{root}"


def drives_of(data: str, split: str = "train") -> list[str]:
    return [drive_of(sample) for sample in open_dataset(data).split(split)]


def test_a_sample_s_drive_is_the_one_that_splits_were_chosen_by(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "data", ["monday/a_01", "monday/a_02", "tuesday/a_01", "tuesday/b_01"])
    assert drives_of(f"{data}?val=0") == ["monday/a", "monday/a", "tuesday/a", "tuesday/b"]
    by_folder = f"{data}?val=0&group=^(.*)/"
    assert drives_of(by_folder) == ["monday", "monday", "tuesday", "tuesday"]
    write_mask(tmp_path / "mask.png", np.zeros((20, 30), np.uint8))
    wrapped = f"{by_folder}&classes=all=*&ignore_mask={tmp_path / 'mask.png'}"
    assert drives_of(wrapped) == ["monday", "monday", "tuesday", "tuesday"]
    assert {drive_of(each) for each in remembered(open_dataset(by_folder).split("train"), 2**20)} == set(
        drives_of(by_folder)
    )


def test_a_sample_s_drive_where_splits_are_given(tmp_path: Path) -> None:
    root = write_camvid(tmp_path / "camvid", train=2, val=1)
    (tmp_path / "camvid" / "train" / "000.png").rename(root / "train" / "0016E5_000.png")
    (tmp_path / "camvid" / "trainannot" / "000.png").rename(root / "trainannot" / "0016E5_000.png")
    assert drives_of(f"camvid:{root}") == [f"{root}/trainannot/", f"{root}/trainannot/0016E5"]
    assert len(set(drives_of("scenes:train=4,size=64x32"))) == 4, "drawn scenes are no neighbours"


def test_a_packed_sample_s_drive_is_told_by_its_name_not_by_its_place(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "data", ["a_01", "a_02", "b_01"])
    write_pack(open_dataset(f"{data}?val=0"), tmp_path / "pack", PackSettings(), data)
    assert sorted(drives_of(f"tfrecord:{tmp_path / 'pack'}")) == ["a", "a", "b"]
