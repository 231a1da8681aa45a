"""Cameras that OpenCV reads: V4L2, GStreamer pipelines, RTSP through FFmpeg."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from edgeseg.errors import SourceError
from edgeseg.geometry import Size
from edgeseg.runtime.clocks import Stamp, StreamClock, sensor_stamp
from edgeseg.runtime.decoder_log import DecoderLog, SoundnessWatch
from edgeseg.runtime.pipelines import csi_pipeline, ffmpeg_options, raw_pipeline, rtsp_pipeline
from edgeseg.runtime.readers import Frame, HopelessSourceError, Reader, stated_fps
from edgeseg.runtime.source import Source

_OPEN_TIMEOUT_MS = 5000  # ends a try with a reason, before the supervisor's own time-out ends it without
_ANALYSE_S = (0.2, 5.0)  # enough for a camera that describes its stream; else until its key frame has come
_FOURCC = {"mjpg": "MJPG", "yuyv": "YUYV"}


class CaptureReader(Reader):
    """What OpenCV's VideoCapture gives."""

    _capture: cv2.VideoCapture

    def read(self, buffer: Frame | None) -> Frame | None:
        if not self._capture.grab():
            return None
        self.stamp = self._stamp(time.monotonic())  # before decoding, which takes time where `retrieve` does it
        ok, frame = self._capture.retrieve(buffer)
        return np.asarray(frame, np.uint8) if ok else None

    def _stamp(self, now: float) -> Stamp:
        return Stamp(now)

    def close(self) -> None:
        self._capture.release()


class V4L2Reader(CaptureReader):
    """A USB camera, or any other that the kernel shows as /dev/videoN; its driver stamps the frames."""

    def __init__(self, source: Source) -> None:
        _check_device(source)
        self._source = source
        properties = _v4l2_properties(source)
        self._capture = cv2.VideoCapture(source.location, cv2.CAP_V4L2, properties)
        if not self._capture.isOpened():
            raise SourceError(
                f"source {source.uri}: no camera that V4L2 can open, or one that another program uses; "
                f"edgeseg-camera --list shows what there is"
            )
        self.fps = stated_fps(self._capture)

    def _stamp(self, now: float) -> Stamp:
        return sensor_stamp(self._capture.get(cv2.CAP_PROP_POS_MSEC), now)

    def remarks(self) -> Iterator[str]:
        given = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        width, height = (int(self._capture.get(each)) for each in given)
        asked = self._source
        if asked.size and asked.size != (height, width):
            yield f"asked for {asked.size}, the camera gives {Size(height, width)}; --list shows its modes"
        if asked.fps and abs(asked.fps - self.fps) > 0.5:
            yield f"asked for {asked.fps:g} frames a second, the camera gives {self.fps:g}; --list shows its modes"


def _check_device(source: Source) -> None:
    try:
        os.close(os.open(source.location, os.O_RDWR | os.O_NONBLOCK))
    except OSError as error:
        remedy = {
            PermissionError: "add the user to the group video",
            FileNotFoundError: "edgeseg-camera --list shows what there is",
        }.get(type(error), "check the camera and its cable")
        raise SourceError(f"source {source.uri}: cannot be opened ({error.strerror}); {remedy}") from error


def _v4l2_properties(source: Source) -> list[int]:
    """Return OpenCV's properties; the format comes first, since it decides which sizes there are."""
    properties = []
    if source.options.format != "auto":
        properties += [cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*_FOURCC[source.options.format])]
    if source.size:
        properties += [cv2.CAP_PROP_FRAME_WIDTH, source.size.width, cv2.CAP_PROP_FRAME_HEIGHT, source.size.height]
    if source.fps:
        properties += [cv2.CAP_PROP_FPS, round(source.fps)]
    return properties


class StreamReader(CaptureReader):
    """A stream whose frames carry presentation times."""

    def __init__(self, capture: cv2.VideoCapture, log: DecoderLog | None = None) -> None:
        self._capture = capture
        self._clock = StreamClock()
        self.fps = stated_fps(capture)
        self._soundness = SoundnessWatch(capture, log, self.fps) if log else None

    def read(self, buffer: Frame | None) -> Frame | None:
        frame = super().read(buffer)
        self.is_corrupt = self._soundness is not None and self._soundness.is_corrupt()
        return frame

    def _stamp(self, now: float) -> Stamp:
        return self._clock.stamp(self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3, now)


class GStreamerReader(StreamReader):
    """A CSI camera, a user's pipeline, or RTSP on a Jetson."""

    def __init__(self, source: Source) -> None:
        if not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
            raise HopelessSourceError(
                f"source {source.uri} needs OpenCV with GStreamer, which pip's opencv-python {cv2.__version__} is not; "
                f"take the system's: on a Jetson JetPack's, else apt install python3-opencv, "
                f"in a venv made with --system-site-packages and without pip's"
            )
        capture = cv2.VideoCapture(pipeline_of(source), cv2.CAP_GSTREAMER)
        if not capture.isOpened():
            raise SourceError(
                f"source {source.uri}: its GStreamer pipeline does not start; try it with gst-launch-1.0, "
                f"GST_DEBUG=2 says why"
            )
        super().__init__(capture)


def pipeline_of(source: Source) -> str:
    """Return the GStreamer pipeline of a source, with its secrets."""
    if source.kind == "csi":
        return csi_pipeline(source)
    return rtsp_pipeline(source, is_jetson()) if source.kind == "rtsp" else raw_pipeline(source.location)


def is_jetson() -> bool:
    return Path("/etc/nv_tegra_release").exists() or Path("/proc/device-tree/nvidia,dtsfilename").exists()


def open_rtsp(source: Source) -> Reader:
    """Open an RTSP camera: by GStreamer on a Jetson, whose decoder FFmpeg does not use, else by FFmpeg."""
    has = cv2.videoio_registry.hasBackend  # what is only listed may be a plugin that is not installed
    if not has(cv2.CAP_FFMPEG) or (is_jetson() and has(cv2.CAP_GSTREAMER)):
        return GStreamerReader(source)
    log = DecoderLog()
    # A read may take as long as it likes (0): the supervisor ends this process after --stall-seconds.
    properties = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _OPEN_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 0]
    if hasattr(cv2, "CAP_PROP_N_THREADS"):  # else one a core, and FFmpeg holds a frame back for each but one
        properties += [cv2.CAP_PROP_N_THREADS, source.options.decoder_threads]
    for analyse_s in _ANALYSE_S:
        os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = ffmpeg_options(source, analyse_s)
        capture = cv2.VideoCapture(source.location, cv2.CAP_FFMPEG, properties)
        if capture.isOpened():
            return StreamReader(capture, log)
    reason = log.take() or "no answer"
    raise SourceError(
        f"source {source.uri}: no RTSP stream to be had ({reason[:120]}); "
        f"check address, user and password, and --source-transport"
    )
