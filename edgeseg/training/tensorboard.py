"""Scalars and pictures for TensorBoard, written without it.

tf.summary.scalar and tf.summary.image need it, and TensorFlow 2.21 no longer brings it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2

from edgeseg.core.files import printable
from edgeseg.data.base import Image
from edgeseg.tf import first_line, tf

DATA_CLASS_SCALAR, DATA_CLASS_BLOB_SEQUENCE = 1, 3  # of TensorBoard's summary.proto
JPEG_QUALITY = 85


class BoardWriter:
    """Appends to the event files of one folder, made at the first value; a context manager.

    What is wrong with the folder is said once and ends nothing: the same figures are in the run's history.

    Args:
        folder: where to.
        say: shows a line.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self._folder, self._say = folder, say
        self._writer: Any = None
        self._failed = False

    def __enter__(self) -> BoardWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        with self._translate_write_errors():
            if self._writer:
                self._writer.close()

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Write a value of each scalar."""
        tensors = {name: tf.constant(value, tf.float32) for name, value in values.items()}
        self._write(tensors, step, _metadata("scalars", DATA_CLASS_SCALAR))

    def write_pictures(self, pictures: Mapping[str, Image], step: int) -> None:
        """Write (H, W, 3) uint8 BGR pictures, as JPEG: they add up over the epochs."""
        tensors = {}
        for name, picture in pictures.items():
            encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
            height, width = picture.shape[:2]
            tensors[name] = tf.constant([str(width).encode(), str(height).encode(), encoded])
        self._write(tensors, step, _metadata("images", DATA_CLASS_BLOB_SEQUENCE))

    def _write(self, tensors: Mapping[str, Any], step: int, metadata: Any) -> None:
        if self._failed:
            return
        with self._translate_write_errors():
            self._writer = self._writer or tf.summary.create_file_writer(str(self._folder))
            with self._writer.as_default():
                for name, tensor in tensors.items():
                    tf.summary.write(printable(name), tensor, step=step, metadata=metadata)
            self._writer.flush()

    @contextmanager
    def _translate_write_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            if not self._failed:
                self._say(f"{self._folder} cannot be written ({first_line(error)}); going on without TensorBoard")
            self._failed = True


def _metadata(plugin: str, data_class: int) -> Any:
    """What TensorBoard's own functions would say about the value, so that its plug-in shows it."""
    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = plugin
    metadata.data_class = data_class
    return metadata
