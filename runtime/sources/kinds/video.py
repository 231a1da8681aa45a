"""`file://` or a plain path: video files."""

from __future__ import annotations

from collections.abc import Iterator

import cv2

from edgeseg.core.errors import SourceError
from edgeseg.runtime.sources.corruption import DecoderLog
from edgeseg.runtime.sources.decoders import open_decoder
from edgeseg.runtime.sources.matroska import begins_at
from edgeseg.runtime.sources.opencv import stated_fps
from edgeseg.runtime.sources.reader import Frame, Reader
from edgeseg.runtime.sources.source import Source

_MISSING_SHARE = 0.05  # of the frames that a file states; counts of whole files are off by a few
# OpenCV says of a frame that cannot be decoded what it says of the end; after one of VP9 none can up to a key frame.
_TRIES = 1000


class VideoReader(Reader):
    """A video file, decoded by OpenCV's FFmpeg.

    Frames that cannot be decoded are passed over; those after one are corrupt up to the next key frame: they are drawn
    on what is not there.
    """

    def __init__(self, source: Source) -> None:
        self._uri, self._location = source.uri, source.location
        self._log = DecoderLog()
        decoder = open_decoder(source.location, source.uri, self._log)
        if decoder is None:
            raise SourceError(
                f"source {source.uri}: not a video that OpenCV can read; expected a complete video file, "
                f"for example H.264 in mp4 or mkv"
            )
        self._decoder, self._capture = decoder, decoder.capture
        self._own_fps = stated_fps(self._capture)
        self._asked_fps = source.fps
        self.fps = source.fps or self._own_fps
        self._stated_frames = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self._frames = self._lost = 0
        self._reached_s = self._last_s = 0.0

    def read(self, buffer: Frame | None) -> Frame | None:
        frame, lost = self._decoded(buffer)
        if frame is None:
            if not self._frames:
                self._check_decoder()
            return None
        self._frames += 1
        self._decoder.judge(lost > 0)
        self.is_corrupt, self.is_key = self._decoder.is_corrupt, self._decoder.is_key
        self.follows = self._decoder.follows
        passed = self._note_time()
        self._lost += lost if self.follows else max(lost, passed)
        return frame

    def _decoded(self, buffer: Frame | None) -> tuple[Frame | None, int]:
        """Return the next frame, None at the end, and how many before it could not be decoded."""
        for lost in range(_TRIES):
            frame = self._decoder.read(buffer)
            if frame is not None:
                return frame, lost
        return None, 0

    def _note_time(self) -> int:
        """Take note of the last frame's time; return how many are missing since the one before."""
        position_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
        pts = self._capture.get(getattr(cv2, "CAP_PROP_PTS", -1))  # in frames; of OpenCV 4.11
        passed_s = position_s - self._last_s
        self._last_s = position_s
        self._reached_s = max(self._reached_s, position_s, pts / self._own_fps)  # the former is from the first frame on
        self.position_s = None if self._asked_fps else position_s
        return max(0, round(passed_s * self._own_fps) - 1)

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
        stated_s = self._stated_frames / self._own_fps - begins_at(self._location)
        is_short = max(self._frames / self._own_fps, self._reached_s + 1 / self._own_fps) < stated_s * (
            1 - _MISSING_SHARE
        )
        if self._frames and is_short:
            yield f"{self._frames} frames of the {self._stated_frames:.0f} that it states; it may be cut off or damaged"

    def rewind(self) -> None:
        if not self._decoder.rewind():
            raise SourceError(f"source {self._uri}: cannot be opened again; expected the file to stay where it is")
        self._last_s = 0.0

    def close(self) -> None:
        self._capture.release()
