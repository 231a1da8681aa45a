"""`scenes://`: the built-in drive."""

from __future__ import annotations

from edgeseg.runtime.sources.reader import Frame, Reader
from edgeseg.runtime.sources.source import Source


class ScenesReader(Reader):
    """The built-in drive."""

    def __init__(self, source: Source) -> None:
        assert source.size is not None
        assert source.fps is not None
        from edgeseg.scenes import Drive  # which a camera's process must not wait for

        self.fps = source.fps
        self._drive = Drive(source.seed, source.size, fps=source.fps)
        self._frames = source.frames
        self._next = 0

    def read(self, buffer: Frame | None) -> Frame | None:
        if self._frames is not None and self._next >= self._frames:
            return None
        frame, _ = self._drive.frame(self._next)
        self._next += 1
        return frame

    def skip(self, count: int) -> int:
        passed = count if self._frames is None else min(count, self._frames - self._next)
        self._next += passed
        return passed

    def rewind(self) -> None:
        self._next = 0
