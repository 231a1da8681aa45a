"""A folder of class-map PNG files."""

from __future__ import annotations

import cv2

from edgeseg.core.errors import UsageError
from edgeseg.core.files import write_whole
from edgeseg.runtime.sinks.base import Delivery, Sink, SinkContext
from edgeseg.runtime.states import Status


class ClassMapFolder(Sink):
    """Class maps as 8-bit PNG files, one a good mask, named by the frame's id; 255 is ignore.

    A file takes its name when it is whole, so that another program may watch the folder.
    """

    needs_picture = False

    def __init__(self, context: SinkContext) -> None:
        super().__init__(context.uri)
        self._path = context.path

    def write(self, delivery: Delivery) -> None:
        if delivery.record.status == Status.STALE:
            return  # a file cannot say that it is stale, and must not pass for good
        ok, data = cv2.imencode(".png", delivery.class_map)
        if not ok:
            raise UsageError(f"output {self.uri}: the class map of frame {delivery.record.frame} cannot be encoded")
        write_whole(self._path / f"{delivery.record.frame:08d}.png", data.tobytes())
