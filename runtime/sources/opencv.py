"""What OpenCV's VideoCapture gives, with the time at which each frame was captured."""

from __future__ import annotations

import time

import cv2
import numpy as np

from edgeseg.runtime.sources.clocks import Stamp, StreamClock
from edgeseg.runtime.sources.corruption import CorruptionWatch, DecoderLog, is_key_frame
from edgeseg.runtime.sources.picture_limit import check_pixels
from edgeseg.runtime.sources.reader import Frame, Reader

FALLBACK_FPS = 25.0  # for sources that state no rate, or an absurd one


class CaptureReader(Reader):
    """What OpenCV's VideoCapture gives."""

    _capture: cv2.VideoCapture

    def read(self, buffer: Frame | None) -> Frame | None:
        if not self._capture.grab():
            return None
        self.stamp = self._stamp(time.monotonic())  # before decoding, which takes time where `retrieve` does it
        ok, frame = self._capture.retrieve(buffer)
        return np.asarray(frame, np.uint8) if ok else None

    def _stamp(self, now: float) -> Stamp:
        return Stamp(now)

    def close(self) -> None:
        self._capture.release()


class StreamReader(CaptureReader):
    """A stream whose frames carry presentation times."""

    def __init__(self, capture: cv2.VideoCapture, log: DecoderLog | None = None) -> None:
        self._capture = capture
        self._clock = StreamClock()
        self.fps = stated_fps(capture)
        self._corruption = CorruptionWatch(capture, log, self.fps) if log else None

    def read(self, buffer: Frame | None) -> Frame | None:
        frame = super().read(buffer)
        if self._corruption:
            self.is_corrupt, self.is_key = self._corruption.is_corrupt(), is_key_frame(self._capture)
        return frame

    def _stamp(self, now: float) -> Stamp:
        return self._clock.stamp(self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3, now)


def check_stated_size(capture: cv2.VideoCapture, uri: str) -> None:
    """Raise SourceError for a capture of larger pictures than are decoded: before the first one is."""
    height, width = (capture.get(each) for each in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH))
    check_pixels(f"source {uri}", height, width)


def stated_fps(capture: cv2.VideoCapture) -> float:
    """Return the frame rate that a capture states, if it is one."""
    stated = capture.get(cv2.CAP_PROP_FPS)
    return stated if 0.1 <= stated <= 1000 else FALLBACK_FPS
