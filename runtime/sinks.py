"""Where masks go: one small class a kind of sink, and one line in a table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.errors import UsageError
from edgeseg.files import check_writable
from edgeseg.geometry import Placement, Size, place
from edgeseg.overlay import overlay
from edgeseg.runtime.records import FrameRecord
from edgeseg.spec import ModelSpec

_VIDEO_CODES = {".mkv": "mp4v", ".mp4": "mp4v", ".avi": "MJPG"}
_LONGEST_HOLD_S = 2.0  # a gap in the frames longer than this is cut from the recording


@dataclass(frozen=True)
class Delivery:
    """A mask on its way out.

    Attributes:
        record: of its frame.
        picture: (H, W, 3) uint8, BGR, as captured; valid only during `Sink.write`.
        class_map: (h, w) uint8 at the network's size.
    """

    record: FrameRecord
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
    """A video of the camera's pictures with the classes laid over them."""

    def __init__(self, uri: str, path: Path, spec: ModelSpec, playback: Playback, opacity: float) -> None:
        super().__init__(uri)
        self._path = path
        self._spec = spec
        self._playback = playback
        self._opacity = opacity
        self._writer: cv2.VideoWriter | None = None
        self._placement: Placement | None = None
        self._written = 0
        self._started_at = 0.0

    def write(self, delivery: Delivery) -> None:
        size = Size(*delivery.picture.shape[:2])
        if self._writer is None or self._placement is None:
            self._writer = self._open(size)
            self._placement = place(size, self._spec.input_size, self._spec.fit, self._spec.crop)
            self._started_at = delivery.record.captured_at
        elif size != self._placement.picture:
            raise UsageError(f"frames changed from {self._placement.picture} to {size}; a video holds one size")
        drawn = overlay(delivery.picture, delivery.class_map, self._placement, self._spec.classes, self._opacity)
        for _ in range(self._repeats(delivery.record.captured_at)):
            self._writer.write(drawn)
            self._written += 1

    def _repeats(self, captured_at: float) -> int:
        if not self._playback.keep_time:
            return 1
        due = round((captured_at - self._started_at) * self._playback.fps) + 1
        behind = due - self._written
        if behind > self._playback.fps * _LONGEST_HOLD_S:
            self._started_at += (behind - 1) / self._playback.fps
            return 1
        return max(0, behind)

    def _open(self, size: Size) -> cv2.VideoWriter:
        code = cv2.VideoWriter.fourcc(*_VIDEO_CODES[self._path.suffix.lower()])
        writer = cv2.VideoWriter(str(self._path), cv2.CAP_FFMPEG, code, self._playback.fps, (size.width, size.height))
        if not writer.isOpened():
            raise UsageError(f"output {self.uri}: cannot write a video there; check the folder and the free space")
        return writer

    def close(self) -> None:
        if self._writer is not None:
            self._writer.release()


class ClassMapFolder(Sink):
    """Class maps as 8-bit PNG files, one a frame, named by the frame's id; 255 is ignore."""

    def __init__(self, uri: str, path: Path) -> None:
        super().__init__(uri)
        self._path = path

    def write(self, delivery: Delivery) -> None:
        self._path.mkdir(parents=True, exist_ok=True)
        ok, data = cv2.imencode(".png", delivery.class_map)
        if not ok:
            raise UsageError(f"output {self.uri}: the class map of frame {delivery.record.frame} cannot be encoded")
        (self._path / f"{delivery.record.frame:08d}.png").write_bytes(data.tobytes())


def open_sink(uri: str, spec: ModelSpec, playback: Playback, opacity: float = 0.5) -> Sink:
    """Return the sink for `file://overlay.mkv` (.mkv, .mp4, .avi), or for a folder (`masks/`) of class-map PNG files.

    Raises:
        UsageError: the text names no kind of sink, or its place cannot be written.
    """
    scheme, separator, rest = uri.partition("://")
    if separator and scheme != "file":
        raise UsageError(f"output {uri!r}: {scheme}:// is not supported; expected file://overlay.mkv or a folder")
    location = rest if separator else uri
    path = Path(location).expanduser()
    if path.suffix.lower() in _VIDEO_CODES and not path.is_dir():
        check_writable(path)
        return OverlayVideo(uri, path, spec, playback, opacity)
    if location.endswith("/") or path.is_dir():
        check_writable(path / "00000000.png")
        return ClassMapFolder(uri, path)
    raise UsageError(
        f"output {uri!r}; expected a video ({', '.join(_VIDEO_CODES)}) or a folder for class maps, ending in /"
    )
