"""The words that records, messages and summaries say of a frame; each is the text that stands there."""

from __future__ import annotations

from enum import Enum


class Word(str, Enum):
    """A text of a closed list, equal to it and written as it, also in JSON."""

    def __str__(self) -> str:
        return str(self.value)

    def __repr__(self) -> str:
        return repr(self.value)


class Status(Word):
    """What became of a captured frame."""

    OK = "ok"
    SKIPPED = "skipped"  # a newer frame came first
    STALE = "stale"  # its mask is too old or not of now
    FAILED = "failed"  # the engine gave no mask


class Reason(Word):
    """Why a frame is not ok."""

    DEADLINE = "deadline"
    CORRUPT = "corrupt"
    FROZEN = "frozen"
    BLACK = "black"
    BLANK = "blank"
    IMPLAUSIBLE = "implausible"
    OVERTAKEN = "overtaken"
    STOPPED = "stopped"
    ENGINE = "engine"


class Clock(Word):
    """Who stamped a frame's time. Programs that read masks know each by its place here: it stays."""

    ARRIVAL = "arrival"
    SENSOR = "sensor"  # the camera's driver
    STREAM = "stream"  # its presentation times, placed by the frame that came quickest


CLOCKS = tuple(Clock)
"""By their numbers in messages."""

PICTURE_REASONS = (Reason.CORRUPT, Reason.FROZEN, Reason.BLACK, Reason.BLANK, Reason.IMPLAUSIBLE)
"""What the watches see: a picture that was decoded from damaged data (sources/corruption.py), that shows nothing of now
(capture/picture_watch.py), or that cannot follow the one before (capture/plausibility.py). Of several, the first is the
reason of its mask."""
