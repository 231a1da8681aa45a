"""A recording in segments that together never take more than a quota."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from edgeseg.core.errors import UsageError

_SEGMENTS = 10  # a quota holds so many: each deletion loses a tenth of the recording
_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_TIMES = ("s", "min", "h")
_ROUNDING = 1e-6
_LEAST_BYTES, _LEAST_SECONDS = 10e6, 10.0


class Quota(NamedTuple):
    """How much recording may lie on the disk: `amount` in bytes, or in seconds of video."""

    amount: float
    is_time: bool


def parse_quota(text: str | None) -> Quota | None:
    """Read `90min`, `2h`, `20GB` or `500MiB`; None stays None. Raises UsageError."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)\s*([A-Za-z]+)", text.strip())
    unit = match and next((known for known in _UNITS if known.lower() == match[2].lower()), None)
    if not match or not unit:
        raise UsageError(f"quota {text!r}; expected a time or a size, for example 90min or 20GB")
    quota = Quota(float(match[1]) * _UNITS[unit], unit in _TIMES)
    if quota.amount < (_LEAST_SECONDS if quota.is_time else _LEAST_BYTES):
        raise UsageError(f"quota {text!r}; expected at least {_LEAST_SECONDS:g}s or {_LEAST_BYTES / 1e6:g}MB")
    return quota


class Segments:
    """The files `name-000001.mkv`, `name-000002.mkv`, ... beside `path`; those of earlier runs count too.

    A segment of an earlier run counts with its size, and as a whole segment of time, since a file that a SIGKILL ended
    does not say how long it is.
    """

    def __init__(self, path: Path, quota: Quota) -> None:
        self._path = path
        self._quota = quota
        self._limit = quota.amount / _SEGMENTS
        self._largest = self._limit  # files overshoot: the writer holds back what it has not written yet
        self._seconds = 0.0
        self._current: Path | None = None

    def next_path(self) -> Path:
        """Return the path of a new segment, once the oldest have made room for it."""
        found = self.found()
        if self._current and not self._quota.is_time:
            self._largest = max(self._largest, _size(self._current))
        last = int(found[-1].stem.rpartition("-")[2]) if found else 0
        while found and self._used(found) + self._largest > self._quota.amount + _ROUNDING:
            _delete(found.pop(0))
        self._seconds = 0.0
        self._current = self._path.with_name(f"{self._path.stem}-{last + 1:06d}{self._path.suffix}")
        return self._current

    def is_full(self, frame_seconds: float) -> bool:
        """Note that the current segment got a frame; whether it is to end with it."""
        assert self._current is not None
        self._seconds += frame_seconds
        if self._quota.is_time:
            return self._seconds > self._limit - frame_seconds / 2
        return _size(self._current) >= self._limit

    def delete_oldest(self) -> bool:
        """Delete the oldest segment that is not being written; False if there is none."""
        others = [path for path in self.found() if path != self._current]
        if others:
            _delete(others[0])
        return bool(others)

    def found(self) -> list[Path]:
        """Return all segments, the oldest first."""
        pattern = re.compile(re.escape(self._path.stem) + r"-(\d{6,9})" + re.escape(self._path.suffix))
        numbered = [(match, each) for each in self._path.parent.iterdir() if (match := pattern.fullmatch(each.name))]
        return [each for match, each in sorted(numbered, key=lambda pair: int(pair[0][1]))]

    def _used(self, found: list[Path]) -> float:
        return len(found) * self._limit if self._quota.is_time else sum(map(_size, found))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # somebody tidied up
        return 0


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{path}: cannot be deleted to keep the quota ({error.strerror}); change its owner") from error
