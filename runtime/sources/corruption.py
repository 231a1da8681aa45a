"""Whether a frame was decoded from sound data: FFmpeg and libjpeg only log what is wrong."""

from __future__ import annotations

import ctypes
import fcntl
import os
import re

import cv2

from edgeseg.core.pictures.jpeg import damage_in

_LIBC = ctypes.CDLL(None)
LEVEL_VARIABLE, QUIET = "OPENCV_FFMPEG_LOGLEVEL", "-8"
_WARNINGS = 24  # AV_LOG_WARNING: lost RTP packets are no more than that
_COMPLAINT = re.compile(r"\[OPENCV:FFMPEG:(?:0?[0-9]|1[0-6])\] *(.+)|(RTP: missed \d+ packets)")
LONGEST_GROUP_S = 10.0  # frames from one key frame to the next
UNKNOWN_GROUP_S = 2.0  # where frame types are not told


class DecoderLog:
    """Takes the process's standard output and error, where alone FFmpeg complains, for good.

    To be made before OpenCV opens anything. The user sees them after all who asks for it by OPENCV_FFMPEG_DEBUG or
    OPENCV_FFMPEG_LOGLEVEL.
    """

    _file: int | None = None

    def __init__(self) -> None:
        self._shown: int | None = None
        if DecoderLog._file is None:  # one a process
            asked = os.environ.get(LEVEL_VARIABLE, QUIET)  # which the commands set for what else reads videos
            is_wanted = asked != QUIET or "OPENCV_FFMPEG_DEBUG" in os.environ
            self._shown = os.dup(2) if is_wanted else None
            os.environ[LEVEL_VARIABLE] = asked if asked.isdigit() and int(asked) > _WARNINGS else str(_WARNINGS)
            DecoderLog._file = os.memfd_create("edgeseg-decoder-log", os.MFD_CLOEXEC)
            fcntl.fcntl(DecoderLog._file, fcntl.F_SETFL, os.O_APPEND)
            for standard in (1, 2):  # OpenCV's own log of FFmpeg goes to the first
                os.dup2(DecoderLog._file, standard)

    def take(self) -> str:
        """Return its first complaint since the last call; an empty text if there is none."""
        assert DecoderLog._file is not None
        # OpenCV prints it by C's stdio, which keeps some kilobytes back where standard output is no terminal.
        _LIBC.fflush(None)
        size = os.fstat(DecoderLog._file).st_size
        if not size:
            return ""
        said = os.pread(DecoderLog._file, size, 0)
        os.ftruncate(DecoderLog._file, 0)
        if self._shown is not None:
            os.write(self._shown, said)
        complaint = _COMPLAINT.search(said.decode(errors="replace"))
        return complaint[1] or complaint[2] if complaint else ""


class JpegLog:
    """Takes what libjpeg says of one picture, on standard error alone. A context manager, used again and again.

    A picture whose data are wrong inside decodes all the same: a damaged one would pass for good. Standard error is the
    process's: not for a process in which other threads write there.

    Attributes:
        damage: what libjpeg found wrong in the last picture; None if it found nothing.
    """

    def __init__(self) -> None:
        self._log = os.memfd_create("edgeseg-jpeg", os.MFD_CLOEXEC)
        self.damage: str | None = None

    def __enter__(self) -> JpegLog:
        self._stderr = os.dup(2)
        os.dup2(self._log, 2)
        return self

    def __exit__(self, *_: object) -> None:
        os.dup2(self._stderr, 2)
        os.close(self._stderr)
        said = os.pread(self._log, os.fstat(self._log).st_size, 0)
        self.damage = damage_in(said.decode(errors="replace")) if said else None
        if said:
            os.ftruncate(self._log, 0)
            os.lseek(self._log, 0, os.SEEK_SET)


def is_key_frame(capture: cv2.VideoCapture) -> bool | None:
    """Return whether the last frame was decoded without any other; None where OpenCV does not tell (before 4.9)."""
    kind = int(capture.get(cv2.CAP_PROP_FRAME_TYPE)) if hasattr(cv2, "CAP_PROP_FRAME_TYPE") else 0
    return kind == ord("I") if kind else None


class CorruptionWatch:
    """Tells corrupt frames from sound ones: from a complaint on, up to the next key frame, each is drawn on the last.

    Args:
        capture: of FFmpeg, opened after `log` was made.
        fps: its frame rate.
    """

    def __init__(self, capture: cv2.VideoCapture, log: DecoderLog, fps: float) -> None:
        self._capture, self._log, self._fps = capture, log, fps
        # Decoders with several threads complain of a frame up to so many frames before it comes.
        self._lead = int(capture.get(getattr(cv2, "CAP_PROP_N_THREADS", -1))) or os.cpu_count() or 1
        self._since: int | None = None  # frames since the complaint

    def is_corrupt(self) -> bool:
        """Say it of the frame that came last; asked once a frame."""
        if self._log.take():
            self._since = 0
        elif self._since is not None:
            self._since += 1
            self._since = None if self._is_over(self._since) else self._since
        return self._since is not None

    def note_loss(self) -> None:
        """Take note of a frame that was not given at all: the next ones are drawn on it."""
        self._since = 0

    def _is_over(self, since: int) -> bool:
        is_key = is_key_frame(self._capture)
        if is_key is None:
            return since > self._fps * UNKNOWN_GROUP_S
        return (is_key and since >= self._lead) or since > self._fps * LONGEST_GROUP_S
