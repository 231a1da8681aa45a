"""`v4l2://`: USB cameras, and any other that the kernel shows as /dev/videoN."""

from __future__ import annotations

import os
from collections.abc import Iterator

import cv2

from edgeseg.core.errors import SourceError
from edgeseg.core.geometry import Size
from edgeseg.runtime.sources.clocks import Stamp, sensor_stamp
from edgeseg.runtime.sources.opencv import CaptureReader, stated_fps
from edgeseg.runtime.sources.source import Source

_FOURCC = {"mjpg": "MJPG", "yuyv": "YUYV"}


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
