"""What a source is, once its URI is understood."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import quote

from edgeseg.core.geometry import Size
from edgeseg.core.numbers import Range
from edgeseg.core.settings import setting

CAMERAS = ("csi", "v4l2", "rtsp", "http", "gst")
"""Kinds that have no end: one that goes away is waited for."""
RATES = Range(0, 1000, above=True)
"""Frames a second that a source may be asked for, or played at."""

# As nvvidconv numbers them.
FLIPS = (
    "none",
    "counterclockwise",
    "rotate-180",
    "clockwise",
    "horizontal",
    "upper-right-diagonal",
    "vertical",
    "upper-left-diagonal",
)

_USER_INFO = re.compile(r"://[^/\s?]*@")
_SECRET_VALUES = re.compile(
    r"(?i)((?:user(?:name|-id|-pw)?|usr|login|pass(?:word|wd)?|pwd|pw|token|key|auth|secret)=)[^&\s]+"
)


@dataclass(frozen=True)
class SourceOptions:
    """How a camera is opened, whatever its address; each is `--source-NAME` on the command line."""

    transport: str = setting("tcp", "of RTSP: tcp loses nothing, udp is never late", choices=("tcp", "udp"))
    latency_ms: int = setting(100, "how long RTSP over UDP waits for packets out of order", between=(0, 10_000))
    decoder_threads: int = setting(
        1, "of RTSP: each more holds a frame back, for a rate that one misses", between=(1, 16)
    )
    format: str = setting("auto", "what a USB camera sends", choices=("auto", "mjpg", "yuyv"))
    flip: str = setting("none", "turn or mirror the picture of a camera", choices=FLIPS)
    exposure_us: int = setting(0, "fixed exposure of a CSI camera in microseconds, 0 for automatic", between=(0, 10**6))
    credentials: str = setting("", "file that holds USER:PASSWORD of the camera; else $EDGESEG_SOURCE_CREDENTIALS")


@dataclass(frozen=True)
class Source:
    """Where frames come from.

    Attributes:
        kind: `video`, `images`, `scenes` or one of CAMERAS.
        uri: as the user wrote it, without its secrets.
        location: path, glob, address or pipeline, with its secrets: never shown.
        size: asked frame size; None for the source's own.
        fps: asked frame rate; None for the source's own.
        seed: of the drive (`scenes`).
        frames: length of the drive (`scenes`); None for endless.
        loop: begin again at the end.
        keep: read so many frames before the start and give them from memory; None to read as it goes.
        options: of cameras.
    """

    kind: str
    uri: str
    location: str = field(default="", repr=False)
    size: Size | None = None
    fps: float | None = None
    seed: int = 0
    frames: int | None = None
    loop: bool = False
    keep: int | None = None
    options: SourceOptions = field(default_factory=SourceOptions)

    @property
    def is_camera(self) -> bool:
        return self.kind in CAMERAS

    def without_secrets(self, text: str) -> str:
        """Return a text about this source, from a library perhaps, with its address as `uri`."""
        return (
            hide_secrets(text.replace(self.location, self.uri)) if self.kind in ("rtsp", "http") else hide_secrets(text)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Source:
        size = values["size"]
        options = SourceOptions(**values["options"])
        return cls(**{**values, "size": Size(*size) if size else None, "options": options})


def hide_secrets(text: str) -> str:
    """Replace user and password of every address in a text, and values of parameters whose name says secret.

    >>> hide_secrets("rtsp://me:secret@camera/1?token=x")
    'rtsp://***@camera/1?token=***'
    """
    return _SECRET_VALUES.sub(r"\1***", _USER_INFO.sub("://***@", text))


def with_credentials(address: str, credentials: str) -> str:
    """Put `user:password` into an address in place of its own.

    >>> with_credentials("rtsp://camera:554/1", "me:p@ss")
    'rtsp://me:p%40ss@camera:554/1'
    """
    user, _, password = credentials.partition(":")
    scheme, _, rest = address.partition("://")
    host = rest.partition("/")[0].rpartition("@")[2]
    path = rest[len(rest.partition("/")[0]) :]
    return f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{host}{path}"
