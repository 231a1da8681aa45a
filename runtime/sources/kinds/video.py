"""`file://` or a plain path: video files."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from edgeseg.core.errors import SourceError
from edgeseg.runtime.sources.corruption import CorruptionWatch, DecoderLog, is_key_frame
from edgeseg.runtime.sources.opencv import check_stated_size, stated_fps
from edgeseg.runtime.sources.reader import Frame, Reader
from edgeseg.runtime.sources.source import Source

_MISSING_SHARE = 0.05  # of the frames that a file states; counts of whole files are off by a few
_TRIES = 30  # OpenCV says of a frame that cannot be decoded what it says of the end


class VideoReader(Reader):
    """A video file, decoded by OpenCV's FFmpeg.

    Frames that cannot be decoded are passed over; those after one are corrupt up to the next key frame: they are drawn
    on what is not there.
    """

    def __init__(self, source: Source) -> None:
        self._uri, self._location = source.uri, source.location
        self._log = DecoderLog()
        self._capture = cv2.VideoCapture(source.location, cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise SourceError(
                f"source {source.uri}: not a video that OpenCV can read; expected a complete video file, "
                f"for example H.264 in mp4 or mkv"
            )
        check_stated_size(self._capture, source.uri)
        self._own_fps = stated_fps(self._capture)
        self._asked_fps = source.fps
        self.fps = source.fps or self._own_fps
        self._stated_frames = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self._frames = self._lost = 0
        self._reached_s = 0.0
        self._corruption = CorruptionWatch(self._capture, self._log, self._own_fps)

    def read(self, buffer: Frame | None) -> Frame | None:
        frame, lost = self._decoded(buffer)
        if frame is None:
            if not self._frames:
                self._check_decoder()
            return None
        self._frames += 1
        self.is_corrupt = self._corruption.is_corrupt()
        if lost:
            self._lost += lost
            self._corruption.note_loss()
            self.is_corrupt = True
        self.is_key = is_key_frame(self._capture)
        self._note_time()
        return frame

    def _decoded(self, buffer: Frame | None) -> tuple[Frame | None, int]:
        """Return the next frame, None at the end, and how many before it could not be decoded."""
        for lost in range(_TRIES):
            ok, frame = self._capture.read(buffer)
            if ok:
                return np.asarray(frame, np.uint8), lost
        return None, 0

    def _note_time(self) -> None:
        position_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
        pts = self._capture.get(getattr(cv2, "CAP_PROP_PTS", -1))  # in frames; of OpenCV 4.11
        self._reached_s = max(self._reached_s, position_s, pts / self._own_fps)  # the former is from the first frame on
        self.position_s = None if self._asked_fps else position_s

    def _check_decoder(self) -> None:
        """Raise SourceError where nothing was decoded for want of a decoder: pip's OpenCV has none for AV1."""
        if int(self._capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").lower() == b"av01":
            raise SourceError(
                f"source {self._uri}: AV1 video, for which this OpenCV has no decoder; expected H.264, HEVC or VP9: "
                "convert it, for example by ffmpeg -i IN -c:v libx264 OUT.mp4"
            )

    def remarks(self) -> Iterator[str]:
        if self._lost:
            yield f"{self._lost} frames could not be decoded; those after each are corrupt up to the next key frame"
        stated_s = self._stated_frames / self._own_fps
        is_short = max(self._frames / self._own_fps, self._reached_s + 1 / self._own_fps) < stated_s * (
            1 - _MISSING_SHARE
        )
        if self._frames and is_short:
            yield f"{self._frames} frames of the {self._stated_frames:.0f} that it states; it may be cut off or damaged"

    def rewind(self) -> None:
        # Seeking to frame 0 is not exact in every container.
        if not self._capture.open(self._location, cv2.CAP_FFMPEG):
            raise SourceError(f"source {self._uri}: cannot be opened again; expected the file to stay where it is")
        self._log.take()
        self._corruption = CorruptionWatch(self._capture, self._log, self._own_fps)

    def close(self) -> None:
        self._capture.release()
