"""The table of sinks. A new one is one file in kinds/ and one row here."""

from __future__ import annotations

SINKS = {
    "video": "edgeseg.runtime.sinks.kinds.overlay_video:OverlayVideo",
    "folder": "edgeseg.runtime.sinks.kinds.class_maps:ClassMapFolder",
    "unix": "edgeseg.runtime.sinks.kinds.mask_socket:MaskSocket",
    "live": "edgeseg.runtime.sinks.kinds.live.sink:LivePage",
    "display": "edgeseg.runtime.sinks.kinds.window:Display",
    "record": "edgeseg.runtime.sinks.kinds.recording:FrameRecording",
}
"""Called with the SinkContext; returns a Sink."""
