"""How a source fared: what interrupted it, for how long, and what it showed that was not of now."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from edgeseg.runtime.states import PICTURE_REASONS, Reason


@dataclass
class Episodes:
    """Stretches of time: how many, how long together, the longest. One may be under way."""

    count: int = 0
    frames: int = 0
    seconds: float = 0.0
    longest: float = 0.0
    _since: float | None = None

    def begin(self, now: float) -> None:
        if self._since is None:
            self._since = now
            self.count += 1

    def end(self, now: float) -> float:
        """Return the length in seconds of the one that ends; 0 if none was under way."""
        if self._since is None:
            return 0.0
        length = max(0.0, now - self._since)
        self._since = None
        self.seconds += length
        self.longest = max(self.longest, length)
        return length

    def so_far(self, now: float) -> float:
        """Return for how many seconds the one that is under way has lasted; 0 if none is."""
        since = self._since  # another thread may end it
        return 0.0 if since is None else max(0.0, now - since)

    @property
    def under_way(self) -> bool:
        return self._since is not None

    def to_dict(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "frames": self.frames,
            "seconds": round(self.seconds, 3),
            "longest_s": round(self.longest, 3),
        }


@dataclass
class SourceHealth:
    """Counts over a run.

    Attributes:
        stalls: times that no frame came although the capture process lived; it was killed.
        deaths: times that the capture process died.
        losses: times that a camera ended or refused its stream.
        reconnects: times that a camera came back.
        attempts: times that it was tried.
        damaged: frames that could not be decoded; they are no captured frames.
        resolution_changes: frames of another size than the one before.
        away: from the last frame before an interruption to the first one after it.
        pictures: by reason (PICTURE_REASONS), from the first such frame to the next good one.
    """

    stalls: int = 0
    deaths: int = 0
    losses: int = 0
    reconnects: int = 0
    attempts: int = 0
    damaged: int = 0
    resolution_changes: int = 0
    away: Episodes = field(default_factory=Episodes)
    pictures: dict[Reason, Episodes] = field(default_factory=lambda: {reason: Episodes() for reason in PICTURE_REASONS})

    def note_picture(self, seen: Collection[Reason], now: float) -> None:
        """Take what the watches saw in the next frame, captured at `now` in monotonic seconds."""
        for reason, episodes in self.pictures.items():
            if reason in seen:
                episodes.begin(now)
                episodes.frames += 1
            else:
                episodes.end(now)

    def close(self, now: float) -> None:
        """End what is under way."""
        self.away.end(now)
        self.note_picture((), now)

    def to_dict(self) -> dict[str, Any]:
        counts = {key: value for key, value in self.__dict__.items() if isinstance(value, int)}
        pictures = {reason.value: episodes.to_dict() for reason, episodes in self.pictures.items()}
        return {**counts, "away": self.away.to_dict(), **pictures}
