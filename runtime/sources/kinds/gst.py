"""`gst://`: a GStreamer pipeline of the user's own."""

from __future__ import annotations

from edgeseg.core.errors import UsageError
from edgeseg.runtime.sources.gstreamer import APPSINK, TO_BGR, GStreamerReader
from edgeseg.runtime.sources.source import Source


class PipelineReader(GStreamerReader):
    """A user's own pipeline."""

    def _pipeline(self, source: Source) -> str:
        return raw_pipeline(source.pipeline.reveal())


def raw_pipeline(text: str) -> str:
    """Return a user's pipeline, with BGR conversion and an appsink of the newest frame if it ends without a sink.

    Raises:
        UsageError: it ends in another sink.
    """
    last = text.split("!")[-1].split()[0] if text.split("!")[-1].split() else ""
    if last == "appsink":
        return text
    if not last or last.endswith("sink"):
        raise UsageError(f"pipeline ends in {last or '!'}; expected no sink, or appsink")
    return f"{text} ! {TO_BGR} ! {APPSINK}"
