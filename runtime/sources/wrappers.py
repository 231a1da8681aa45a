"""Readers around another reader: frames kept in memory, and frames turned or mirrored."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from edgeseg.runtime.sources.reader import DamagedFrameError, Frame, Reader


class KeptReader(Reader):
    """The first frames of another reader, all read before the first is given and then repeated from memory.

    So that what a source costs, a drawn one above all, is not measured with the engine.
    """

    def __init__(self, reader: Reader, count: int, is_alive: Callable[[], object] = lambda: None) -> None:
        """`is_alive` is called after each frame: all of them may take longer than a first frame is waited for."""
        self.fps, self.follows = reader.fps, reader.follows
        self._frames: list[tuple[Frame | DamagedFrameError, bool, bool | None, bool]] = []
        while len(self._frames) < count and (frame := _read(reader)) is not None:
            self._frames.append((frame, reader.is_corrupt, reader.is_key, reader.follows))
            is_alive()
        reader.close()
        self._next = 0

    def read(self, buffer: Frame | None) -> Frame | None:
        if self._next >= len(self._frames):
            return None
        frame, self.is_corrupt, self.is_key, self.follows = self._frames[self._next]
        self._next += 1
        if isinstance(frame, DamagedFrameError):
            raise frame
        return frame

    def rewind(self) -> None:
        self._next = 0


def _read(reader: Reader) -> Frame | DamagedFrameError | None:
    try:
        return reader.read(None)
    except DamagedFrameError as error:
        return error


class FlippedReader(Reader):
    """Another reader's frames turned or mirrored, as nvvidconv's `flip-method` does it (FLIPS)."""

    def __init__(self, reader: Reader, flip: str) -> None:
        self._reader = reader
        self._flip = flip
        self.fps, self.follows = reader.fps, reader.follows

    def read(self, buffer: Frame | None) -> Frame | None:
        frame = self._reader.read(None)
        self.stamp, self.is_corrupt, self.is_key = self._reader.stamp, self._reader.is_corrupt, self._reader.is_key
        return None if frame is None else flipped(frame, self._flip)

    def remarks(self) -> Iterator[str]:
        return self._reader.remarks()

    def close(self) -> None:
        self._reader.close()


def flipped(frame: Frame, flip: str) -> Frame:
    """Turn or mirror (H, W, 3); a quarter turn gives (W, H, 3)."""
    mirrored = {"horizontal": 1, "vertical": 0, "rotate-180": -1}
    if flip in mirrored:
        return np.asarray(cv2.flip(frame, mirrored[flip]), np.uint8)
    turned = cv2.transpose(frame)
    after = {"clockwise": 1, "counterclockwise": 0, "upper-left-diagonal": None, "upper-right-diagonal": -1}[flip]
    return np.asarray(turned if after is None else cv2.flip(turned, after), np.uint8)
