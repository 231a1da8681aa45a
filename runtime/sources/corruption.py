"""Whether a frame was decoded from sound data: FFmpeg only logs what is wrong."""

from __future__ import annotations

import ctypes
import fcntl
import os
import re

import cv2

_LIBC = ctypes.CDLL(None)
LEVEL_VARIABLE, QUIET = "OPENCV_FFMPEG_LOGLEVEL", "-8"
_WARNINGS = 24  # AV_LOG_WARNING: lost RTP packets are no more than that
_NEEDED = 32  # AV_LOG_INFO: what it made up for lack of data is no more than that, to FFmpeg
_HEAD = re.compile(r"\[OPENCV:FFMPEG:(-?\d+)\]")
_COMPLAINT = re.compile(
    r"\[OPENCV:FFMPEG:(?:0?[0-9]|1[0-6])\] *(.+)|(RTP: missed \d+ packets|concealing \d+ DC, \d+ AC, \d+ MV errors.*)"
)
_MOST_BACK = 4  # pictures that B frames hold back
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
            self._level = int(asked) if asked.isdigit() else _WARNINGS
            self._is_shown = True
            os.environ[LEVEL_VARIABLE] = str(max(self._level, _NEEDED))
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
        said = os.pread(DecoderLog._file, size, 0).decode(errors="replace")
        os.ftruncate(DecoderLog._file, 0)
        if self._shown is not None:
            os.write(self._shown, "".join(filter(self._is_asked_for, said.splitlines(keepends=True))).encode())
        complaint = _COMPLAINT.search(said)
        return complaint[1] or complaint[2] if complaint else ""

    def _is_asked_for(self, line: str) -> bool:
        """Whether a line is of the level that the user asked for; one without a level goes with the one before."""
        head = _HEAD.match(line)
        self._is_shown = int(head[1]) <= self._level if head else self._is_shown
        return self._is_shown


def is_key_frame(capture: cv2.VideoCapture) -> bool | None:
    """Return whether the last frame was decoded without any other; None where OpenCV does not tell (before 4.9)."""
    kind = _kind(capture)
    return kind == "I" if kind else None


def _kind(capture: cv2.VideoCapture) -> str:
    """Return I, P, B or another kind of the last frame; empty where it is not told."""
    kind = int(capture.get(cv2.CAP_PROP_FRAME_TYPE)) if hasattr(cv2, "CAP_PROP_FRAME_TYPE") else 0
    return chr(kind) if kind > 0 and kind != ord("?") else ""


class CorruptionWatch:
    """Tells corrupt frames from sound ones: from a complaint on, up to the next key frame, each is drawn on the last.

    Args:
        capture: of FFmpeg, opened after `log` was made.
        fps: its frame rate.
    """

    def __init__(self, capture: cv2.VideoCapture, log: DecoderLog, fps: float) -> None:
        self._capture, self._log, self._fps = capture, log, fps
        threads = int(capture.get(getattr(cv2, "CAP_PROP_N_THREADS", -1))) or os.cpu_count() or 1
        self._held_back = threads - 1
        self._since: int | None = None  # frames since the complaint
        self._run = self._longest_run = 0  # of B frames

    def is_corrupt(self) -> bool:
        """Say it of the frame that came last; asked once a frame."""
        if self._log.take():
            self._since = 0
        elif self._since is not None:
            self._since += 1
            self._since = None if self._is_over(self._since) else self._since
        if self._since is None:  # what damaged frames say of themselves is damaged, too
            self._run = self._run + 1 if _kind(self._capture) == "B" else 0
            self._longest_run = max(self._longest_run, self._run)
        return self._since is not None

    def note_loss(self) -> None:
        """Take note of a frame that was not given at all: the next ones are drawn on it."""
        self._since = 0

    @property
    def _lead(self) -> int:
        """How many frames before the one that it is about a complaint may come.

        Frames wait for those that are shown before them: with pyramids of B frames, as many as they are high.
        """
        return self._held_back + min(self._longest_run.bit_length(), _MOST_BACK)

    def _is_over(self, since: int) -> bool:
        is_key = is_key_frame(self._capture)
        if is_key is None:
            return since > self._fps * UNKNOWN_GROUP_S
        return (is_key and since > self._lead) or since > self._fps * LONGEST_GROUP_S
