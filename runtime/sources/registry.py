"""The table of sources: what opens each kind. A new one is one file in kinds/ and one row here."""

from __future__ import annotations

READERS = {
    "video": "edgeseg.runtime.sources.kinds.video:VideoReader",
    "images": "edgeseg.runtime.sources.kinds.files:ImageReader",
    "scenes": "edgeseg.runtime.sources.kinds.scenes:ScenesReader",
    "csi": "edgeseg.runtime.sources.kinds.csi:CsiReader",
    "gst": "edgeseg.runtime.sources.kinds.gst:PipelineReader",
    "rtsp": "edgeseg.runtime.sources.kinds.rtsp:open_rtsp",
    "v4l2": "edgeseg.runtime.sources.kinds.v4l2:V4L2Reader",
    "http": "edgeseg.runtime.sources.kinds.mjpeg:MjpegReader",
}
"""Called with the Source; returns a Reader."""
