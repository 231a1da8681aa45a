"""The settings of a run: how its source is watched, how it loops, how its masks are put out.

`edgeseg-camera` takes texts and defaults of its options from here. Nothing heavy is imported: --help must be quick.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from edgeseg.core.geometry import SIZE_8K
from edgeseg.core.settings import check_settings, same_setting, setting
from edgeseg.runtime.road_settings import RoadSettings

STALL_TIMEOUT_S = 2.0  # between two frames of a camera
DEADLINE_MS = 500.0  # of a camera's masks: at 50 km/h the car has gone 7 m
MAX_PIXELS = SIZE_8K.height * SIZE_8K.width
_DAY_S = 86_400
_LONGEST_S = 1e9  # thirty years
_MOST_FRAMES = 2**53  # what every reader of JSON takes


@dataclass(frozen=True)
class CaptureSettings:
    """How a source is watched. Times are in seconds."""

    every_frame: bool = setting(
        False, "take each frame, as fast as it is consumed; otherwise the newest, at the source's own rate"
    )
    stall_s: float = setting(
        STALL_TIMEOUT_S, "a camera without a frame for so long is opened again", (0, _DAY_S), above=True
    )
    frozen_s: float | None = setting(
        None,
        "a picture unchanged for so long is frozen; 0 for never, None for supervisor.FROZEN_S with cameras and never "
        "with files, of which many hold still pictures",
        (0, _DAY_S),
        kind=float,
    )
    give_up_s: float | None = setting(
        None,
        "a camera that is away for so long, at the start too, is an error; infinity for never, None for never once it "
        "has given a frame, and at once at the start",
        (0, _LONGEST_S),
        kind=float,
        endless=True,
    )
    max_pixels: int = setting(
        MAX_PIXELS, "a source of larger pictures is an error, before they take memory", (1, 2**30)
    )
    plausibility: bool = setting(True, "masks of pictures that cannot follow the one before are stale")

    def __post_init__(self) -> None:
        check_settings(self, "capture ")


@dataclass(frozen=True)
class SinkSettings:
    """What the user chose for all outputs."""

    opacity: float = setting(0.5, "of the classes in overlays", (0, 1))
    live_token: Path | None = setting(
        None,
        "file with the token that whoever looks at an http:// output must know; off loopback it is needed",
        kind=Path,
    )
    live_tls: Path | None = setting(None, "PEM file of certificate and key, for an https:// output", kind=Path)
    deadline_ms: float | None = setting(
        None, "older masks are delivered as stale", (0, _DAY_S * 1e3), kind=float, above=True, endless=True
    )
    legend: bool = setting(True, "show class names, frame rate and latency on overlays")
    quota: str | None = setting(None, "keep the newest 90min or 20GB of each overlay video, in segments", kind=str)

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True)
class LoopSettings:
    """How a source is streamed through an engine. Raises UsageError for a value that makes no sense.

    Attributes:
        deadline_ms: infinity for none; None for DEADLINE_MS with cameras, or more where a frame takes longer
            (deadline.py), and none with files.
        frozen_ms: None for the default of cameras, and never with files.
        give_up_seconds: infinity for never; None for never, but at once at the start.
        quota: None for one file without a limit.
        outputs: see edgeseg.runtime.sinks.open.open_sink.
        road: what to report of each mask, and whether to smooth it (edgeseg.runtime.road); None for neither.
    """

    every_frame: bool = setting(False, "process each frame, at full speed, instead of the newest")
    frames: int | None = setting(None, "stop after so many masks", (1, _MOST_FRAMES), kind=int)
    seconds: float | None = setting(None, "stop after so many seconds", (0, _LONGEST_S), kind=float, above=True)
    deadline_ms: float | None = same_setting(SinkSettings, "deadline_ms")
    stall_seconds: float = setting(
        STALL_TIMEOUT_S, "a camera without a frame so long is opened again", (0, _DAY_S), above=True
    )
    frozen_ms: float | None = setting(
        None, "masks of a picture unchanged for so long are stale, 0 for never", (0, _DAY_S * 1e3), kind=float
    )
    plausibility: bool = same_setting(CaptureSettings, "plausibility")
    give_up_seconds: float | None = setting(
        None, "end with code 3 when a camera is away for so long; inf: never", (0, _LONGEST_S), kind=float, endless=True
    )
    max_pixels: int = setting(
        MAX_PIXELS,
        "refuse a source whose pictures are larger, before they take memory; the default is 8K",
        (1, 2**30),
    )
    outputs: tuple[str, ...] = setting(
        (),
        "file://overlay.mkv (.mkv, .mp4, .avi), a folder/ for class-map PNG files, unix://SOCKET for other programs, "
        "http://127.0.0.1:8080 for a live page, or display:// for a window; may be given several times",
    )
    stats: Path | None = setting(None, "write one line of JSON a captured frame", kind=Path)
    opacity: float = same_setting(SinkSettings, "opacity")
    live_token: Path | None = same_setting(SinkSettings, "live_token")
    live_tls: Path | None = same_setting(SinkSettings, "live_tls")
    legend: bool = same_setting(SinkSettings, "legend")
    quota: str | None = same_setting(SinkSettings, "quota")
    road: RoadSettings | None = None
    warm_up_frames: int = setting(3, "frames that are run before counting starts", (0, 10_000))

    def __post_init__(self) -> None:
        check_settings(self)

    def for_capture(self) -> CaptureSettings:
        frozen_s = None if self.frozen_ms is None else self.frozen_ms / 1e3
        return CaptureSettings(
            self.every_frame,
            self.stall_seconds,
            frozen_s,
            self.give_up_seconds,
            self.max_pixels,
            self.plausibility,
        )

    def for_sinks(self) -> SinkSettings:
        return SinkSettings(**{each.name: getattr(self, each.name) for each in fields(SinkSettings)})
