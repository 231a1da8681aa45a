"""All that is watched in the pictures of a source, in one place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeseg.runtime.capture.picture_watch import PictureWatch
from edgeseg.runtime.capture.plausibility import PlausibilityWatch
from edgeseg.runtime.sources.reader import Reader
from edgeseg.runtime.states import Reason


class Watches:
    """Looks at every frame of a source, also at those that nobody will take.

    Args:
        frozen_s: see PictureWatch; 0 for none.
        plausibility: whether to watch that each picture can follow the one before.
    """

    def __init__(self, frozen_s: float, plausibility: bool) -> None:
        self._picture = PictureWatch(frozen_s) if frozen_s else None
        self._plausibility = PlausibilityWatch() if plausibility else None
        self._frames = 0

    def look(self, frame: NDArray[np.uint8], now: float, reader: Reader) -> list[Reason]:
        """Return what is seen, of PICTURE_REASONS, in (H, W, 3) uint8 BGR, captured at `now` and just read."""
        seen = [Reason.CORRUPT] if reader.is_corrupt else []
        if self._picture and (reason := self._picture.reason(frame, now)):
            seen.append(reason)
        if self._plausibility:
            self._frames += 1
            if not reader.follows:
                self._plausibility.begin_again()
            # A file may be read slower than it plays: time is then what its frames make.
            at = self._frames / reader.fps if reader.stamp is None else now
            if self._plausibility.is_implausible(frame, reader.is_key, reader.is_corrupt, at):
                seen.append(Reason.IMPLAUSIBLE)
        return seen

    def begin_again(self) -> None:
        """Compare the next picture with none before it."""
        self._plausibility = PlausibilityWatch() if self._plausibility else None
