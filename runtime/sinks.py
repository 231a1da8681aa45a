"""Where masks go: one small class a kind of sink, and one line in a table."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.errors import UsageError
from edgeseg.files import check_writable
from edgeseg.geometry import Placement, Size, place_through
from edgeseg.overlay import mark_stale, overlay
from edgeseg.runtime.records import FrameRecord
from edgeseg.spec import ModelSpec

_VIDEO_CODES = {".mkv": "mp4v", ".mp4": "mp4v", ".avi": "MJPG"}
_FRAMES_BETWEEN_CHECKS = 15
_LEAST_FREE_BYTES = 16 * 2**20
_LONGEST_HOLD_S = 2.0  # a gap in the frames longer than this is cut from the recording


@dataclass(frozen=True)
class Delivery:
    """A mask on its way out.

    Attributes:
        record: of its frame.
        captured_monotonic: seconds of the monotonic clock, which no time server sets back.
        picture: (H, W, 3) uint8, BGR, as captured; valid only during `Sink.write`.
        class_map: (h, w) uint8 at the network's size.
    """

    record: FrameRecord
    captured_monotonic: float
    picture: NDArray[np.uint8]
    class_map: NDArray[np.uint8]


class Sink(ABC):
    """Takes masks, on the output thread. Nothing is opened before the first one, so a failed start destroys nothing."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    @abstractmethod
    def write(self, delivery: Delivery) -> None:
        """Put one mask out. Raises OSError or UsageError when it cannot."""

    def close(self) -> None:
        """Finish what was begun."""


@dataclass(frozen=True)
class Playback:
    """How a recording keeps time: at `fps`; with `keep_time` a frame is held until the next one was captured."""

    fps: float
    keep_time: bool


class OverlayVideo(Sink):
    """A video of the camera's pictures with the classes laid over them; a stale mask has a red frame."""

    def __init__(
        self, uri: str, path: Path, spec: ModelSpec, graph_size: Size, playback: Playback, opacity: float
    ) -> None:
        super().__init__(uri)
        self._path = path
        self._spec = spec
        self._graph_size = graph_size
        self._playback = playback
        self._opacity = opacity
        self._writer: cv2.VideoWriter | None = None
        self._placement: Placement | None = None
        self._last: NDArray[np.uint8] | None = None
        self._written = 0
        self._started_at = 0.0
        self._bytes = 0

    def write(self, delivery: Delivery) -> None:
        size = Size(*delivery.picture.shape[:2])
        if self._writer is None or self._placement is None:
            self._writer = self._open(size)
            spec = self._spec
            self._placement = place_through(self._graph_size, size, spec.input_size, spec.fit, spec.crop)
            self._started_at = delivery.captured_monotonic
        elif size != self._placement.picture:
            raise UsageError(f"frames changed from {self._placement.picture} to {size}; a video holds one size")
        drawn = overlay(delivery.picture, delivery.class_map, self._placement, self._spec.classes, self._opacity)
        if delivery.record.status == "stale":
            drawn = mark_stale(drawn)
        if self._playback.keep_time:
            self._hold_last(delivery.captured_monotonic)
        self._add(drawn)
        self._last = drawn

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
        assert self._writer is not None
        self._writer.write(drawn)
        self._written += 1
        if self._written % _FRAMES_BETWEEN_CHECKS == 0:
            self._check_disk()

    def _check_disk(self) -> None:
        """OpenCV's writer reports no failure, so the disk is asked."""
        disk = os.statvfs(self._path.parent)
        if disk.f_bavail * disk.f_frsize < _LEAST_FREE_BYTES:
            raise UsageError(f"{self._path}: the disk is full; free it, the recording ends here")
        self._bytes = self._path.stat().st_size

    def _open(self, size: Size) -> cv2.VideoWriter:
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

    def close(self) -> None:
        if self._writer is None:
            return
        self._writer.release()
        if not self._path.is_file() or self._path.stat().st_size <= self._bytes:
            raise UsageError(f"{self._path}: the end of the recording could not be written; check the free space")


class ClassMapFolder(Sink):
    """Class maps as 8-bit PNG files, one a good mask, named by the frame's id; 255 is ignore."""

    def __init__(self, uri: str, path: Path) -> None:
        super().__init__(uri)
        self._path = path

    def write(self, delivery: Delivery) -> None:
        if delivery.record.status == "stale":
            return  # a file cannot say that it is stale, and must not pass for good
        self._path.mkdir(parents=True, exist_ok=True)
        ok, data = cv2.imencode(".png", delivery.class_map)
        if not ok:
            raise UsageError(f"output {self.uri}: the class map of frame {delivery.record.frame} cannot be encoded")
        (self._path / f"{delivery.record.frame:08d}.png").write_bytes(data.tobytes())


def open_sink(uri: str, spec: ModelSpec, graph_size: Size, playback: Playback, opacity: float = 0.5) -> Sink:
    """Return the sink for `file://overlay.mkv` (.mkv, .mp4, .avi), or for a folder (`masks/`) of class-map PNG files.

    Raises:
        UsageError: the text names no kind of sink, or its place cannot be written.
    """
    path = sink_path(uri)
    if path.suffix.lower() in _VIDEO_CODES and not path.is_dir():
        check_writable(path)
        return OverlayVideo(uri, path, spec, graph_size, playback, opacity)
    if uri.endswith("/") or path.is_dir():
        check_writable(path / "00000000.png")
        return ClassMapFolder(uri, path)
    raise UsageError(
        f"output {uri!r}; expected a video ({', '.join(_VIDEO_CODES)}) or a folder for class maps, ending in /"
    )


def sink_path(uri: str) -> Path:
    """Return the absolute path that an output URI names. Raises UsageError for one that names no file or folder."""
    scheme, separator, rest = uri.partition("://")
    if separator and scheme != "file":
        raise UsageError(f"output {uri!r}: {scheme}:// is not supported; expected file://overlay.mkv or a folder")
    return Path(rest if separator else uri).expanduser().absolute()
