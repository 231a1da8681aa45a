"""Scalars for TensorBoard, written without it: tf.summary.scalar needs it, TensorFlow 2.21 no longer brings it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeseg.tf import tf


class ScalarWriter:
    """Appends to the event files of one folder; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._writer = tf.summary.create_file_writer(str(folder))

    def __enter__(self) -> ScalarWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self._writer.close()

    def write(self, values: Mapping[str, float], step: int) -> None:
        with self._writer.as_default():
            for name, value in values.items():
                tf.summary.write(name, tf.constant(value, tf.float32), step=step, metadata=_scalar_metadata())
        self._writer.flush()


def _scalar_metadata() -> Any:
    """What tf.summary.scalar would say about the value: TensorBoard's scalars plug-in shows it."""
    metadata = tf.compat.v1.SummaryMetadata()
    metadata.plugin_data.plugin_name = "scalars"
    metadata.data_class = 1  # DATA_CLASS_SCALAR
    return metadata
