"""From a source to the reader that gives its frames, inside the capture process."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from edgeseg.runtime.sources.picture_limit import check_pixels
from edgeseg.runtime.sources.reader import Reader
from edgeseg.runtime.sources.registry import READERS
from edgeseg.runtime.sources.source import Source
from edgeseg.runtime.sources.wrappers import FlippedReader, KeptReader


def open_reader(source: Source, is_alive: Callable[[], object] = lambda: None) -> Reader:
    """Open a source; `is_alive` is called now and then while that takes long. Raises SourceError."""
    if source.size is not None:
        check_pixels(f"source {source.uri}", *source.size)
    module, _, name = READERS[source.kind].partition(":")
    reader: Reader = getattr(importlib.import_module(module), name)(source)
    if source.is_camera and source.kind != "csi" and source.options.flip != "none":
        reader = FlippedReader(reader, source.options.flip)
    return reader if source.keep is None else KeptReader(reader, source.keep, is_alive)
