"""A folder of class-map PNG files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import UsageError
from edgeseg.core.files import write_whole
from edgeseg.runtime.sinks.base import Delivery, Sink, SinkContext
from edgeseg.runtime.states import Status


class ClassMapFolder(Sink):
    """Class maps as 8-bit PNG files, one a good mask, named by the frame's id; 255 is ignore.

    Where the graph gives a confidence it is in confidence/, in a file of the same name, 255 for certain.

    A file takes its name when it is whole, so that another program may watch the folder.
    """

    needs_picture = False

    def __init__(self, context: SinkContext) -> None:
        super().__init__(context.uri)
        self._path = context.path

    def write(self, delivery: Delivery) -> None:
        if delivery.record.status == Status.STALE:
            return  # a file cannot say that it is stale, and must not pass for good
        if delivery.confidence is not None:  # first: who sees a class map finds its confidence
            self._put(self._path / "confidence", delivery.confidence, delivery.record.frame)
        self._put(self._path, delivery.class_map, delivery.record.frame)

    def _put(self, folder: Path, pixels: NDArray[np.uint8], frame: int) -> None:
        ok, data = cv2.imencode(".png", pixels)
        if not ok:
            raise UsageError(f"output {self.uri}: the class map of frame {frame} cannot be encoded")
        write_whole(folder / f"{frame:08d}.png", data.tobytes())
