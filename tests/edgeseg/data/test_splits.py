"""Splits by drive: seeded, by share, and never with neighbours on both sides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.core.errors import DataError, UsageError
from edgeseg.data.splits import SplitRule, sequence_of, split_by_drive


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
