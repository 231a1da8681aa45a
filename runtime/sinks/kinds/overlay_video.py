"""A video of the camera's pictures with the classes laid over them."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import UsageError
from edgeseg.core.files import put_on_disk
from edgeseg.core.geometry import Size
from edgeseg.runtime.sinks.base import Delivery, Sink, SinkContext
from edgeseg.runtime.sinks.drawing import Drawer
from edgeseg.runtime.sinks.segments import Segments, parse_quota

_VIDEO_CODES = {".mkv": "mp4v", ".mp4": "mp4v", ".avi": "MJPG"}
_FRAMES_BETWEEN_CHECKS = 15
_SYNC_EVERY_S = 2.0  # the kernel by itself would put it on the disk after half a minute
_LEAST_FREE_BYTES = 16 * 2**20
_LONGEST_HOLD_S = 2.0  # a gap in the frames longer than this is cut from the recording


class OverlayVideo(Sink):
    """Records overlays; a stale mask has a red frame. Matroska stays playable even after SIGKILL, mp4 does not.

    With a quota the recording is cut into segments, `overlay-000001.mkv` and so on, and the oldest is deleted.
    """

    def __init__(self, context: SinkContext) -> None:
        super().__init__(context.uri)
        self._context = context
        self._playback = context.playback
        quota = parse_quota(context.settings.quota)
        self._segments = None if quota is None else Segments(context.path, quota)
        self._path = context.path
        self._writer: cv2.VideoWriter | None = None
        self._drawer: Drawer | None = None
        self._last: NDArray[np.uint8] | None = None
        self._written = 0
        self._started_at = 0.0
        self._bytes = 0
        self._synced_at = 0.0

    def write(self, delivery: Delivery) -> None:
        size = Size(*delivery.picture.shape[:2])
        if self._drawer is None:
            self._drawer = Drawer(self._context, size)
            self._started_at = delivery.captured_monotonic
        elif size != self._drawer.size:
            raise UsageError(f"frames changed from {self._drawer.size} to {size}; a video holds one size")
        if self._playback.keep_time:
            self._hold_last(delivery.captured_monotonic)
        self._last = self._drawer.draw(delivery)
        self._add(self._last)

    def _hold_last(self, captured_monotonic: float) -> None:
        """Repeat the picture before for as long as it was the newest; a long gap is cut short."""
        due = round((captured_monotonic - self._started_at) * self._playback.fps)
        longest = round(self._playback.fps * _LONGEST_HOLD_S)
        if due - self._written > longest:
            self._started_at += (due - self._written - longest) / self._playback.fps
            due = self._written + longest
        while self._last is not None and self._written < due:
            self._add(self._last)

    def _add(self, drawn: NDArray[np.uint8]) -> None:
        if self._writer is None:
            self._writer = self._open(Size(*drawn.shape[:2]))
        self._writer.write(drawn)
        self._written += 1
        if self._written % _FRAMES_BETWEEN_CHECKS == 0:
            self._check_disk()
        if self._segments and self._segments.is_full(1 / self._playback.fps):
            self._finish_file()

    def _check_disk(self) -> None:
        """OpenCV's writer reports no failure, so the disk is asked."""
        while _free_bytes(self._path) < _LEAST_FREE_BYTES:
            if not (self._segments and self._segments.delete_oldest()):
                raise UsageError(f"{self._path}: the disk is full; free it, the recording ends here")
        self._bytes = self._path.stat().st_size
        if time.monotonic() - self._synced_at >= _SYNC_EVERY_S:
            _put_on_disk(self._path)
            self._synced_at = time.monotonic()

    def _open(self, size: Size) -> cv2.VideoWriter:
        if self._segments:
            self._path = self._segments.next_path()
        self._bytes = 0
        code = cv2.VideoWriter.fourcc(*_VIDEO_CODES[self._path.suffix.lower()])
        # MPEG-4 counts time in at most 65535 ticks a second.
        fps = round(self._playback.fps, 3) if self._playback.fps < 65 else round(self._playback.fps)
        writer = cv2.VideoWriter(str(self._path), cv2.CAP_FFMPEG, code, fps, (size.width, size.height))
        if not writer.isOpened():
            raise UsageError(
                f"output {self.uri}: a {self._path.suffix} of {size} at {fps} fps cannot be written there; "
                f"check folder and free space, or take .mkv"
            )
        return writer

    def _finish_file(self) -> None:
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        _put_on_disk(self._path)
        if not self._path.is_file() or self._path.stat().st_size <= self._bytes:
            raise UsageError(f"{self._path}: the end of the recording could not be written; check the free space")

    def close(self) -> None:
        self._finish_file()


def _put_on_disk(path: Path) -> None:
    """Have what was written outlast a power cut; a file system that cannot, or a file that is gone, changes nothing."""
    with contextlib.suppress(OSError):
        put_on_disk(path)


def _free_bytes(path: Path) -> int:
    disk = os.statvfs(path.parent)
    return disk.f_bavail * disk.f_frsize
