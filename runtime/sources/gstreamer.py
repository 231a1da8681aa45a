"""What OpenCV reads through GStreamer."""

from __future__ import annotations

from abc import abstractmethod

import cv2

from edgeseg.core.errors import SourceError
from edgeseg.runtime.sources.opencv import StreamReader, check_stated_size
from edgeseg.runtime.sources.reader import HopelessSourceError
from edgeseg.runtime.sources.source import Source

TO_BGR = "videoconvert ! video/x-raw, format=BGR"
APPSINK = "appsink drop=true max-buffers=1 sync=false"
"""The newest frame only: appsink's own queue has no end, and its clock would hold frames back."""


class GStreamerReader(StreamReader):
    """A GStreamer pipeline; a kind says which."""

    is_key: bool | None = None

    def __init__(self, source: Source) -> None:
        if not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
            raise HopelessSourceError(
                f"source {source.uri} needs OpenCV with GStreamer, which pip's opencv-python {cv2.__version__} is not; "
                f"take the system's: on a Jetson JetPack's, else apt install python3-opencv, "
                f"in a venv made with --system-site-packages and without pip's"
            )
        capture = cv2.VideoCapture(self._pipeline(source), cv2.CAP_GSTREAMER)
        if not capture.isOpened():
            raise SourceError(
                f"source {source.uri}: its GStreamer pipeline does not start; try it with gst-launch-1.0, "
                f"GST_DEBUG=2 says why"
            )
        check_stated_size(capture, source.uri)
        super().__init__(capture)

    @abstractmethod
    def _pipeline(self, source: Source) -> str:
        """Return the pipeline, with its secrets. Raises UsageError."""
