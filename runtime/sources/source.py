"""What a source is, once its URI is understood."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from edgeseg.core.geometry import Size
from edgeseg.core.numbers import Range
from edgeseg.core.settings import setting
from edgeseg.runtime.sources.address import Address, NetworkAddress, Pipeline, parse_address, parse_pipeline

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
        location: path, glob, device or the sensor's number; empty where there is an address.
        address: of a network camera, or a pipeline: it holds the secrets, and shows none.
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
    location: str = ""
    address: Address | None = None
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

    @property
    def network_address(self) -> NetworkAddress:
        """The address of a network camera."""
        assert isinstance(self.address, NetworkAddress)
        return self.address

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline of `gst://`."""
        assert isinstance(self.address, Pipeline)
        return self.address

    def without_secrets(self, text: str) -> str:
        """Return a text about this source, from a library perhaps, without the secrets of its address."""
        return self.address.hide(text) if self.address else text

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values, with the secrets of its address: for the process that opens it alone."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**values, "options": asdict(self.options), "address": self.address and self.address.reveal()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Source:
        size, text = values["size"], values["address"]
        options = SourceOptions(**values["options"])
        parse = parse_pipeline if values["kind"] == "gst" else parse_address
        address = None if text is None else parse(text)
        return cls(**{**values, "size": Size(*size) if size else None, "options": options, "address": address})
