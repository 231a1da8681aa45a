"""What reads frames, inside the capture process: one small class a kind of source."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.errors import SourceError
from edgeseg.runtime.sources import DEFAULT_FOLDER_FPS, Source, image_paths
from edgeseg.scenes import Drive

Frame = NDArray[np.uint8]
FALLBACK_VIDEO_FPS = 25.0  # for files that state no rate, or an absurd one


class Reader(ABC):
    """A source that was opened.

    Attributes:
        fps: the rate at which its frames are meant to be seen.
    """

    fps: float

    @abstractmethod
    def read(self, buffer: Frame | None) -> Frame | None:
        """Return the next frame, (H, W, 3) uint8 BGR, or None at the end.

        A reader that can do so writes into `buffer`, which has the size of the frame before, and returns it.

        Raises:
            SourceError: this frame cannot be read.
        """

    @abstractmethod
    def rewind(self) -> None:
        """Begin again."""

    def close(self) -> None:
        """Free what the reader holds."""


class VideoReader(Reader):
    """A video file, decoded by OpenCV's FFmpeg."""

    def __init__(self, source: Source) -> None:
        self._uri, self._location = source.uri, source.location
        self._capture = cv2.VideoCapture(source.location, cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise SourceError(
                f"source {source.uri}: not a video that OpenCV can read; expected a complete video file, "
                f"for example H.264 in mp4 or mkv"
            )
        stated = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = source.fps or (stated if 0.1 <= stated <= 1000 else FALLBACK_VIDEO_FPS)

    def read(self, buffer: Frame | None) -> Frame | None:
        ok, frame = self._capture.read(buffer)
        return np.asarray(frame, np.uint8) if ok else None

    def rewind(self) -> None:
        # Seeking to frame 0 is not exact in every container.
        if not self._capture.open(self._location, cv2.CAP_FFMPEG):
            raise SourceError(f"source {self._uri}: cannot be opened again; expected the file to stay where it is")

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

    def __init__(self, reader: Reader, count: int) -> None:
        self.fps = reader.fps
        self._frames: list[Frame] = []
        while len(self._frames) < count and (frame := reader.read(None)) is not None:
            self._frames.append(frame)
        reader.close()
        self._next = 0

    def read(self, buffer: Frame | None) -> Frame | None:
        if self._next >= len(self._frames):
            return None
        self._next += 1
        return self._frames[self._next - 1]

    def rewind(self) -> None:
        self._next = 0


def read_image(path: Path) -> Frame:
    """Read a picture as (H, W, 3) uint8 BGR. Raises SourceError."""
    try:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except cv2.error:  # raised for sizes over OpenCV's limit
        image = None
    if image is None:
        raise SourceError(f"{path}: not a picture that can be read; expected a complete PNG, JPEG or the like")
    return np.asarray(image, np.uint8)


_READERS: dict[str, type[VideoReader] | type[ImageReader] | type[ScenesReader]] = {
    "video": VideoReader,
    "images": ImageReader,
    "scenes": ScenesReader,
}


def open_reader(source: Source) -> Reader:
    """Open a source. Raises SourceError."""
    reader = _READERS[source.kind](source)
    return reader if source.keep is None else KeptReader(reader, source.keep)
