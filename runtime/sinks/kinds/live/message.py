"""What is sent to a viewer: JSON texts, and pictures with their class maps as one binary message.

A binary message is the length of its header (uint32, little-endian), the header (JSON, UTF-8), and the parts that the
header lists as [name, bytes]: `jpeg`, the picture; `classes`, the class map's (h, w) bytes, deflated with zlib's frame
(RFC 1950); and `boundary`, one little-endian int16 a column, where the road report is on (edgeseg.runtime.road).
Times are milliseconds of this machine's monotonic clock.
"""

from __future__ import annotations

import json
import struct
import time
import zlib
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Box, Size, place_through
from edgeseg.runtime.sinks.base import Delivery, Heartbeat, SinkContext

JPEG_QUALITY = 85
LONGEST_SIDE = 1280  # of the picture sent: a screen shows no more, and 4K would take 40 ms to encode
_LIMIT_MS = 1000.0  # without a deadline: whoever looks on is to see that nothing comes
_LONGEST_PERIOD_MS = 5000.0


def now_ms() -> float:
    return time.monotonic() * 1e3


def hello(context: SinkContext) -> dict[str, Any]:
    """Return what a viewer is told first: the classes, and from which age on a picture is old."""
    spec, settings = context.spec, context.settings
    period_ms = min(1e3 / context.playback.fps, _LONGEST_PERIOD_MS) if context.playback.fps > 0 else 0.0
    return {
        "type": "hello",
        "name": spec.name,
        "precision": spec.precision,
        "classes": [
            {"name": name, "colour": colour}
            for name, colour in zip(spec.classes.names, spec.classes.colours, strict=True)
        ],
        "opacity": settings.opacity,
        "deadline_ms": settings.deadline_ms,
        "limit_ms": (settings.deadline_ms or _LIMIT_MS) + period_ms,
        "guessed": list(spec.guessed),
    }


def beat(heartbeat: Heartbeat, clock: dict[str, float] | None) -> dict[str, Any]:
    """Return what a viewer is told twice a second."""
    return {
        "type": "beat",
        "clock": clock,
        "frames": heartbeat.frames,
        "health": heartbeat.health,
        "away_s": heartbeat.away_s,
        "pictures": heartbeat.pictures,
    }


def timed(document: dict[str, Any]) -> str:
    """Return a text message, stamped with the time of its sending."""
    return json.dumps({**document, "sent": now_ms()})


class Packer:
    """Packs deliveries of one model."""

    def __init__(self, context: SinkContext) -> None:
        self._context = context

    def pack(self, delivery: Delivery) -> bytes:
        """Return the message of a delivery that has its picture."""
        record, context = delivery.record, self._context
        size = Size(*delivery.picture.shape[:2])
        spec = context.spec
        placement = place_through(context.graph_size, size, spec.input_size, spec.fit, spec.crop)
        parts = {
            "jpeg": _jpeg(delivery.picture),
            "classes": zlib.compress(delivery.class_map.tobytes(), 1),
        }
        document = record.to_document()
        road = document.pop("road", None)
        if record.road is not None:
            parts["boundary"] = record.road.boundary.astype("<i2").tobytes()
        header = {
            "type": "frame",
            **document,
            "shares": road and road["shares"],
            "captured": delivery.captured_monotonic * 1e3,
            "map": list(delivery.class_map.shape),
            "size": list(size),
            "source": _shares(placement.source, size),
            "target": list(placement.target),
            "parts": [[name, len(part)] for name, part in parts.items()],
            "sent": now_ms(),
        }
        text = json.dumps(header).encode()
        return b"".join([struct.pack("<I", len(text)), text, *parts.values()])


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    height, width = picture.shape[:2]
    scale = LONGEST_SIDE / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    encoded, content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not encoded:
        raise OSError("the picture could not be encoded as JPEG")
    return content.tobytes()


def _shares(box: Box, size: Size) -> list[float]:
    """Return a box as shares of a picture: the page's is smaller."""
    return [box.x / size.width, box.y / size.height, box.width / size.width, box.height / size.height]
