"""Scalars for TensorBoard, written without it: tf.summary.scalar needs it, TensorFlow 2.21 no longer brings it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgeseg.tf import first_line, tf


class ScalarWriter:
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

    def __enter__(self) -> ScalarWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        with self._failure_said():
            if self._writer:
                self._writer.close()

    def write(self, values: Mapping[str, float], step: int) -> None:
        if self._failed:
            return
        with self._failure_said():
            self._writer = self._writer or tf.summary.create_file_writer(str(self._folder))
            with self._writer.as_default():
                for name, value in values.items():
                    tf.summary.write(name, tf.constant(value, tf.float32), step=step, metadata=_scalar_metadata())
            self._writer.flush()

    @contextmanager
    def _failure_said(self) -> Iterator[None]:
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            if not self._failed:
                self._say(f"{self._folder} cannot be written ({first_line(error)}); going on without TensorBoard")
            self._failed = True


def _scalar_metadata() -> Any:
    """What tf.summary.scalar would say about the value: TensorBoard's scalars plug-in shows it."""
    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = "scalars"
    metadata.data_class = 1  # DATA_CLASS_SCALAR
    return metadata
