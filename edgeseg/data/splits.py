"""Splits for data that has none: a seeded choice of whole drives, so that neighbours in time never stand on both sides.

Pictures of one drive are near copies of each other. A network that is tested on the neighbours of what it was trained
on looks better than it is.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgeseg.core.errors import DataError, UsageError
from edgeseg.data.base import Dataset, Sample

SPLIT_NAME = re.compile(r"\w[\w.+-]{0,99}")
SPLIT_OPTIONS = {
    "val": "share of the pictures for validation, in whole drives (0.2)",
    "test": "share of the pictures for the final test, in whole drives (0)",
    "seed": "decides which drives go where (0)",
    "group": "pattern (regular expression) of what names a picture's drive; its groups, or all that it matches "
    "(the name without its last number)",
}
FOLDER_SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
LAST_NUMBER = re.compile(
    r"[\W_]*\d{10,}[._]\d+$|[\W_T]+\d\d[-_:.]\d\d[-_:.]\d\d([.,]\d+)?$|"
    r"[\W_]+[A-Za-z]?\d+$|\d+$|(^|[\W_]+)\d+(?![^\W_])(?!.*[\W_]\d+(?![^\W_])).*$|[\W_]*\d+\D*$"
)
"""Seconds with their fraction, as in 1305031102.175304; a time of day, as in 2026-05-01_12-30-45; a number at the end,
with a letter as in 0006R0_f00930; else the last that stands alone, as in aachen_000000_000019_leftImg8bit; else the
last one."""


def sequence_of(name: str) -> str:
    """Return the drive that a picture's name tells: the name without its last number and what follows it.

    `0016E5_07959` and `0016E5_07961` are of the drive `0016E5`; a folder in the name stays. For the choice of splits
    and for the warning that two splits share a drive alike.
    """
    folder, slash, stem = name.rpartition("/")
    return f"{folder}{slash}{LAST_NUMBER.sub('', stem, count=1)}"


def drive_of(sample: Sample) -> str:
    """Return a sample's drive: as the rule that chose the splits says, else as its name tells, folders included."""
    return sample.drive if sample.drive is not None else sequence_of(os.path.splitext(sample.name)[0])


@dataclass(frozen=True)
class SplitRule:
    """Shares, seed and pattern. Raises UsageError for values out of range."""

    val: float = 0.2
    test: float = 0.0
    seed: int = 0
    group: re.Pattern[str] | None = None

    def __post_init__(self) -> None:
        if not (self.val >= 0 and self.test >= 0 and self.val + self.test < 1):
            raise UsageError(f"split shares val={self.val}, test={self.test}; expected 0 or more, together below 1")

    @classmethod
    def parse(cls, options: Mapping[str, str]) -> SplitRule:
        """Read the options of SPLIT_OPTIONS that are given."""
        pattern = options.get("group", "")
        try:
            group = re.compile(pattern) if pattern else None
        except re.error as error:
            raise UsageError(
                f"option group={pattern} ({error}); expected a regular expression as group=^(.*)_"
            ) from error
        return cls(_share(options, "val", cls.val), _share(options, "test", cls.test), _seed(options), group)

    def drive(self, name: str) -> str:
        """Return the drive of a picture's name. Raises DataError if the pattern is not in it."""
        if self.group is None:
            return sequence_of(name)
        match = self.group.search(name)
        if not match:
            raise DataError(
                f"{name}: the pattern group={self.group.pattern} is not in this name; make it match all names"
            )
        return "/".join(part or "" for part in match.groups()) if match.groups() else match.group()


def _share(options: Mapping[str, str], key: str, default: float) -> float:
    try:
        share = float(options.get(key, default))
    except ValueError:
        share = math.nan
    if not 0 <= share < 1:
        raise UsageError(f"option {key}={options[key]}; expected a share from 0 to below 1, such as {key}=0.2")
    return share


def _seed(options: Mapping[str, str]) -> int:
    text = options.get("seed", "0")
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise UsageError(f"option seed={text}; expected a whole number from 0 to 999999999")
    return int(text)


def split_by_drive(names: Sequence[str], rule: SplitRule) -> dict[str, list[int]]:
    """Return the indices of `names` in train, val and test, in order; a split that gets none is left out.

    Drives are taken in an order that depends on the seed and their names alone, each where it brings a split nearer to
    its share. One drive is never cut: alone, it is train.
    """
    drives: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        drives.setdefault(rule.drive(name), []).append(index)
    left = sorted(drives, key=lambda drive: hashlib.sha256(f"{rule.seed}/{drive}".encode()).digest())
    chosen: dict[str, list[int]] = {}
    for split, share in (("test", rule.test), ("val", rule.val)):
        taken = _nearest_to(share * len(names), left, drives) if share and len(left) > 1 else []
        left = [drive for drive in left if drive not in taken]
        chosen[split] = sorted(index for drive in taken for index in drives[drive])
    chosen["train"] = sorted(index for drive in left for index in drives[drive])
    return {split: chosen[split] for split in ("train", "val", "test") if chosen[split]}


def _nearest_to(wanted: float, left: Sequence[str], drives: Mapping[str, list[int]]) -> set[str]:
    taken: set[str] = set()
    count = 0
    for drive in left:
        size = len(drives[drive])
        if abs(count + size - wanted) < abs(count - wanted) and len(taken) < len(left) - 1:
            taken.add(drive)
            count += size
    return taken or {min(left, key=lambda drive: len(drives[drive]))}


def check_split_names(names: Iterable[str]) -> None:
    """Raise UsageError unless each name may be that of a file or a folder."""
    odd = next((name for name in names if not SPLIT_NAME.fullmatch(name)), None)
    if odd is not None:
        raise UsageError(f"split {odd!r}; expected a name of letters, digits, - and _, as it becomes a file name")


class ListedDataset(Dataset):
    """A data set whose samples are listed when it is opened."""

    _listed: Mapping[str, Sequence[Sample]]

    def _list(self, listed: Mapping[str, Sequence[Sample]]) -> None:
        """Set the splits."""
        self._listed = listed
        self.splits = tuple(listed)

    def _divide(self, samples: Sequence[Sample], names: Sequence[str], rule: SplitRule) -> None:
        """Set the splits: the folders if all names begin with train/, val/ or test/, else whole drives.

        `names` are what the pictures are called within the data set, without suffix: they tell the drives.
        """
        for sample, name in zip(samples, names, strict=True):
            sample.drive = sys.intern(rule.drive(name))
        folders = [FOLDER_SPLITS.get(name.partition("/")[0]) if "/" in name else None for name in names]
        if "train" in folders and None not in folders:
            listed = {
                split: [sample for sample, own in zip(samples, folders, strict=True) if own == split]
                for split in ("train", "val", "test")
            }
            self._list({split: part for split, part in listed.items() if part})
            return
        parts = split_by_drive(names, rule)
        self._list({split: [samples[index] for index in part] for split, part in parts.items()})
        if len(parts) == 1 and samples:
            self.split_hint = _hint(len(samples), rule, rule.drive(names[0]))

    def _samples(self, split: str) -> Sequence[Sample]:
        return self._listed[split]


def _hint(pictures: int, rule: SplitRule, drive: str) -> str:
    """Return what to do where all pictures are of one drive, as the end of a message."""
    if pictures == 1:
        return "; it holds one picture with labels, which is train: label a second one, of another drive"
    if rule.group is not None:
        way = f"its pattern group={rule.group.pattern} finds {drive!r} in all: make it tell them apart"
    else:
        way = "name drives with group=PATTERN"
    return (
        f"; all its {pictures} pictures seem to be of one drive ({drive!r}), which is never cut: {way}, or make each "
        f"picture its own with group=.*"
    )
