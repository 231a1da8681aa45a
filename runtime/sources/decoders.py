"""What decodes a video file: of what OpenCV has for it, the one that tells most of what is wrong."""

from __future__ import annotations

import os
from typing import NamedTuple

import cv2
import numpy as np

from edgeseg.runtime.sources.corruption import CorruptionWatch, DecoderLog, is_key_frame
from edgeseg.runtime.sources.jpegs import JpegLog, decode
from edgeseg.runtime.sources.opencv import check_stated_size, stated_fps
from edgeseg.runtime.sources.reader import Frame

CAPTURE_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_RAW = (cv2.CAP_PROP_FORMAT, -1)  # packets as they are; OpenCV 5.0 crashes if asked for their frame's type
_SAME_MS = 0.5
STRICT = {b"vp90": "libvpx-vp9", b"vp09": "libvpx-vp9"}  # that of VP8 refuses no more than FFmpeg's
_PLAIN_FORMATS = (b"I420", b"IYUV")  # 8 bits, 4:2:0
_LARGEST_FOR_ONE_THREAD = 1920 * 1088
_THREADS = 4  # for larger ones
_JPEG_TRIES = 5
_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
_HEAD_BYTES = 4096
_LIMITED_RANGE = b"CS=ITU601"  # so FFmpeg marks JPEGs whose levels libjpeg would take for those of JFIF


class Opening(NamedTuple):
    """How OpenCV is to open a file: its properties, and FFmpeg's options."""

    location: str
    properties: tuple[int, ...] = ()
    options: str = ""

    def open(self, capture: cv2.VideoCapture) -> bool:
        asked = os.environ.get(CAPTURE_OPTIONS)
        os.environ[CAPTURE_OPTIONS] = "|".join(filter(None, (asked, self.options)))
        try:
            return bool(capture.open(self.location, cv2.CAP_FFMPEG, self.properties))
        finally:
            del os.environ[CAPTURE_OPTIONS]
            if asked is not None:
                os.environ[CAPTURE_OPTIONS] = asked


class Decoder:
    """FFmpeg's own decoder, which mostly gives a picture of damaged data, too.

    Attributes:
        capture: of OpenCV, opened.
        is_corrupt: whether the last picture was decoded from damaged data, or drawn on one that was.
        is_key: whether it was decoded without any other; None where that is not known.
        follows: False where pictures are missing before it, and it was drawn on none of them.
    """

    is_corrupt = False
    is_key: bool | None = True
    follows = True

    def __init__(self, capture: cv2.VideoCapture, opening: Opening, log: DecoderLog) -> None:
        self.capture, self._opening, self._log = capture, opening, log
        self.begin()

    def begin(self) -> None:
        """Take note that the next picture is the first."""
        self._log.take()  # what came of trying to open it
        self._watch = CorruptionWatch(self.capture, self._log, stated_fps(self.capture))

    def rewind(self) -> bool:
        """Begin again; False if the file cannot be opened any more. Seeking to frame 0 is not exact everywhere."""
        is_open = self._opening.open(self.capture)
        self.begin()
        return is_open

    def read(self, buffer: Frame | None) -> Frame | None:
        """Return the next picture; None for one that cannot be decoded, and at the end."""
        ok, frame = self.capture.read(buffer)
        return np.asarray(frame, np.uint8) if ok else None

    def judge(self, is_loss: bool) -> None:
        """Say of the picture that came last what the attributes tell; `is_loss`: one before it did not come."""
        self.is_corrupt = self._watch.is_corrupt() or is_loss
        if is_loss:
            self._watch.note_loss()
        self.is_key = is_key_frame(self.capture)


class StrictDecoder(Decoder):
    """Google's decoder of VP9: FFmpeg's never complains; this one gives no picture that it finds damaged."""

    def begin(self) -> None:
        self._log.take()
        self._packets = cv2.VideoCapture()  # the decoder does not tell key frames
        Opening(self._opening.location, _RAW).open(self._packets)
        self._reached_ms = -1.0

    def judge(self, is_loss: bool) -> None:
        self.follows = not (self._log.take() or is_loss)
        position_ms = self.capture.get(cv2.CAP_PROP_POS_MSEC)
        while self._reached_ms < position_ms - _SAME_MS and self._packets.grab():
            self._reached_ms = self._packets.get(cv2.CAP_PROP_POS_MSEC)
        is_same = abs(self._reached_ms - position_ms) < _SAME_MS
        self.is_key = bool(self._packets.get(cv2.CAP_PROP_LRF_HAS_KEY_FRAME)) if is_same else None


class JpegDecoder(Decoder):
    """libjpeg, which tells more than FFmpeg's decoder of JPEGs: as pictures over `http://` are decoded."""

    def __init__(self, capture: cv2.VideoCapture, opening: Opening, log: DecoderLog, angle: float) -> None:
        super().__init__(capture, opening, log)
        self._turn = _TURNS.get(round(angle) % 360)
        self._jpegs = JpegLog()

    def read(self, buffer: Frame | None) -> Frame | None:
        ok, data = self.capture.read()
        picture, self._damage = decode(data.tobytes(), self._jpegs) if ok else (None, None)
        return picture if picture is None or self._turn is None else np.asarray(cv2.rotate(picture, self._turn))

    def judge(self, is_loss: bool) -> None:
        self.is_corrupt = bool(self._log.take() or self._damage)

    def suits(self, height: float, width: float) -> bool:
        """Whether the next pictures are sound JPEGs of a size, which those of interlaced video are not."""
        for _ in range(_JPEG_TRIES):
            ok, data = self.capture.read()
            if not ok or _LIMITED_RANGE in data[0, :_HEAD_BYTES].tobytes():
                return False
            picture, damage = decode(data.tobytes(), self._jpegs)
            if picture is not None and not damage:
                return picture.shape[:2] in ((height, width), (width, height))
        return False


def open_decoder(location: str, uri: str, log: DecoderLog) -> Decoder | None:
    """Open a video file; None if OpenCV cannot.

    Raises:
        SourceError: its pictures are too large.
    """
    # Each thread but one holds a picture back: how long before its picture a complaint comes is chance.
    plain = _opened(Opening(location, _threads(1)))
    if plain is None:
        return None
    capture, opening = plain
    check_stated_size(capture, uri)
    height, width = (capture.get(each) for each in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH))
    codec = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").lower()
    if codec in STRICT and _can_be_strict(capture):
        if strict := _opened(Opening(location, options=f"video_codec;{STRICT[codec]}")):
            return StrictDecoder(*strict, log)
    elif codec == b"mjpg" and (raw := _opened(Opening(location, _RAW))):
        decoder = JpegDecoder(*raw, log, capture.get(cv2.CAP_PROP_ORIENTATION_META))  # told of decoded pictures alone
        if decoder.suits(height, width) and decoder.rewind():
            return decoder
    elif height * width > _LARGEST_FOR_ONE_THREAD:
        capture, opening = _opened(Opening(location, _threads(_THREADS))) or plain
    return Decoder(capture, opening, log)


def _opened(opening: Opening) -> tuple[cv2.VideoCapture, Opening] | None:
    capture = cv2.VideoCapture()
    return (capture, opening) if opening.open(capture) else None


def _threads(count: int) -> tuple[int, ...]:
    name = getattr(cv2, "CAP_PROP_N_THREADS", None)
    return () if name is None else (name, min(count, os.cpu_count() or 1))


def _can_be_strict(capture: cv2.VideoCapture) -> bool:
    """Whether libvpx decodes such pixels however it was built, and the user asked for no other decoder."""
    pixels = int(capture.get(cv2.CAP_PROP_CODEC_PIXEL_FORMAT)).to_bytes(4, "little", signed=True)
    return pixels in _PLAIN_FORMATS and "video_codec" not in os.environ.get(CAPTURE_OPTIONS, "")
