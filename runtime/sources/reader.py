"""What reads frames, inside the capture process: one small class a kind of source."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.errors import SourceError
from edgeseg.runtime.clocks import Stamp
from edgeseg.runtime.decoder_log import DecoderLog, SoundnessWatch
from edgeseg.runtime.source import Source
from edgeseg.runtime.sources import DEFAULT_FOLDER_FPS, image_paths

Frame = NDArray[np.uint8]
FALLBACK_FPS = 25.0  # for sources that state no rate, or an absurd one
_MISSING_SHARE = 0.05  # of the frames that a file states; counts of whole files are off by a few


class HopelessSourceError(SourceError):
    """A source that cannot be opened however often it is tried."""


class DamagedFrameError(SourceError):
    """A frame of a camera that cannot be decoded; the next one may be good."""


class Reader(ABC):
    """A source that was opened.

    Attributes:
        fps: the rate at which its frames are meant to be seen.
        stamp: when the last frame was captured; None where that is not known.
        is_corrupt: whether the last frame was decoded from corrupt data, as far as that can be known.
    """

    fps: float
    stamp: Stamp | None = None
    is_corrupt: bool = False

    @abstractmethod
    def read(self, buffer: Frame | None) -> Frame | None:
        """Return the next frame, (H, W, 3) uint8 BGR, or None at the end.

        A reader that can do so writes into `buffer`, which has the size of the frame before, and returns it.

        Raises:
            SourceError: this frame cannot be read.
        """

    def rewind(self) -> None:
        """Begin again."""
        raise SourceError("this source cannot begin again")

    def remarks(self) -> Iterator[str]:
        """Yield what the user should know, asked once after opening and once at the end."""
        return iter(())

    def close(self) -> None:
        """Free what the reader holds."""


class VideoReader(Reader):
    """A video file, decoded by OpenCV's FFmpeg."""

    def __init__(self, source: Source) -> None:
        self._uri, self._location = source.uri, source.location
        self._log = DecoderLog()
        self._capture = cv2.VideoCapture(source.location, cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise SourceError(
                f"source {source.uri}: not a video that OpenCV can read; expected a complete video file, "
                f"for example H.264 in mp4 or mkv"
            )
        self.fps = source.fps or stated_fps(self._capture)
        self._stated_frames = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self._frames = 0
        self._soundness = SoundnessWatch(self._capture, self._log, self.fps)

    def read(self, buffer: Frame | None) -> Frame | None:
        ok, frame = self._capture.read(buffer)
        self._frames += ok
        self.is_corrupt = self._soundness.is_corrupt()
        return np.asarray(frame, np.uint8) if ok else None

    def remarks(self) -> Iterator[str]:
        if 0 < self._frames < self._stated_frames * (1 - _MISSING_SHARE):
            yield f"{self._frames} frames of the {self._stated_frames:.0f} that it states; it may be cut off or damaged"

    def rewind(self) -> None:
        # Seeking to frame 0 is not exact in every container.
        if not self._capture.open(self._location, cv2.CAP_FFMPEG):
            raise SourceError(f"source {self._uri}: cannot be opened again; expected the file to stay where it is")
        self._log.take()
        self._soundness = SoundnessWatch(self._capture, self._log, self.fps)

    def close(self) -> None:
        self._capture.release()


class ImageReader(Reader):
    """Picture files, in the order of their names."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._paths = iter(image_paths(source))
        self.fps = source.fps or DEFAULT_FOLDER_FPS

    def read(self, buffer: Frame | None) -> Frame | None:
        path = next(self._paths, None)
        return None if path is None else read_image(path)

    def rewind(self) -> None:
        self._paths = iter(image_paths(self._source))


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

    def rewind(self) -> None:
        self._next = 0


class KeptReader(Reader):
    """The first frames of another reader, all read before the first is given and then repeated from memory.

    So that what a source costs, a drawn one above all, is not measured with the engine.
    """

    def __init__(self, reader: Reader, count: int, is_alive: Callable[[], object] = lambda: None) -> None:
        """`is_alive` is called after each frame: all of them may take longer than a first frame is waited for."""
        self.fps = reader.fps
        self._frames: list[Frame] = []
        while len(self._frames) < count and (frame := reader.read(None)) is not None:
            self._frames.append(frame)
            is_alive()
        reader.close()
        self._next = 0

    def read(self, buffer: Frame | None) -> Frame | None:
        if self._next >= len(self._frames):
            return None
        self._next += 1
        return self._frames[self._next - 1]

    def rewind(self) -> None:
        self._next = 0


class FlippedReader(Reader):
    """Another reader's frames turned or mirrored, as nvvidconv's `flip-method` does it (FLIPS)."""

    def __init__(self, reader: Reader, flip: str) -> None:
        self._reader = reader
        self._flip = flip
        self.fps = reader.fps

    def read(self, buffer: Frame | None) -> Frame | None:
        frame = self._reader.read(None)
        self.stamp, self.is_corrupt = self._reader.stamp, self._reader.is_corrupt
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


def read_image(path: Path) -> Frame:
    """Read a picture as (H, W, 3) uint8 BGR. Raises SourceError."""
    try:
        # Not cv2.imread: a name that is not UTF-8 ends the process.
        image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error):  # the latter for an empty file, and for sizes over OpenCV's limit
        image = None
    if image is None:
        raise SourceError(f"{path}: not a picture that can be read; expected a complete PNG, JPEG or the like")
    return np.asarray(image, np.uint8)


def stated_fps(capture: cv2.VideoCapture) -> float:
    """Return the frame rate that a capture states, if it is one."""
    stated = capture.get(cv2.CAP_PROP_FPS)
    return stated if 0.1 <= stated <= 1000 else FALLBACK_FPS


_READERS = {
    "video": "readers:VideoReader",
    "images": "readers:ImageReader",
    "scenes": "readers:ScenesReader",
    "csi": "camera_readers:GStreamerReader",
    "gst": "camera_readers:GStreamerReader",
    "rtsp": "camera_readers:open_rtsp",
    "v4l2": "camera_readers:V4L2Reader",
    "http": "mjpeg:MjpegReader",
}


def open_reader(source: Source, is_alive: Callable[[], object] = lambda: None) -> Reader:
    """Open a source; `is_alive` is called now and then while that takes long. Raises SourceError."""
    module, _, name = _READERS[source.kind].partition(":")
    reader: Reader = getattr(importlib.import_module(f"edgeseg.runtime.{module}"), name)(source)
    if source.is_camera and source.kind != "csi" and source.options.flip != "none":
        reader = FlippedReader(reader, source.options.flip)
    return reader if source.keep is None else KeptReader(reader, source.keep, is_alive)
