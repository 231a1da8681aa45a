"""What reads frames, inside the capture process; each kind of source is one small class in kinds/."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import SourceError
from edgeseg.runtime.sources.clocks import Stamp

Frame = NDArray[np.uint8]


class HopelessSourceError(SourceError):
    """A source that cannot be opened however often it is tried."""


class DamagedFrameError(SourceError):
    """A frame of a camera, or a picture of several, that cannot be decoded; the next one may be good."""


class Reader(ABC):
    """A source that was opened.

    Attributes:
        fps: the rate at which its frames are meant to be seen.
        stamp: when the last frame was captured; None where that is not known.
        is_corrupt: whether the last frame was decoded from corrupt data, as far as that can be known.
        is_key: whether the last frame was decoded without any other; None where that is not known.
        follows: whether each frame shows the scene of the one before, as pictures of a folder need not.
        position_s: the last frame's own time in a file, from any beginning; None where it has none.
    """

    fps: float
    stamp: Stamp | None = None
    is_corrupt: bool = False
    is_key: bool | None = True
    follows: bool = True
    position_s: float | None = None

    @abstractmethod
    def read(self, buffer: Frame | None) -> Frame | None:
        """Return the next frame, (H, W, 3) uint8 BGR, or None at the end.

        A reader that can do so writes into `buffer`, which has the size of the frame before, and returns it.

        Raises:
            DamagedFrameError: this frame cannot be read, which is no reason not to ask for the next one.
            SourceError: nothing more can be read.
        """

    def skip(self, count: int) -> int:
        """Pass over so many frames, those that cannot be read beside; return how many there were before the end."""
        passed = 0
        while passed < count:
            try:
                if self.read(None) is None:
                    break
            except DamagedFrameError:
                continue
            passed += 1
        return passed

    def rewind(self) -> None:
        """Begin again."""
        raise SourceError("this source cannot begin again")

    def remarks(self) -> Iterator[str]:
        """Yield what the user should know, asked once after opening and once at the end."""
        return iter(())

    def close(self) -> None:
        """Free what the reader holds."""
