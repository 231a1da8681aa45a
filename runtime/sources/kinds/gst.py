"""GStreamer pipelines and FFmpeg options of cameras, as texts: nothing is opened here."""

from __future__ import annotations

from fractions import Fraction
from urllib.parse import unquote, urlsplit

from edgeseg.errors import UsageError
from edgeseg.geometry import Size
from edgeseg.runtime.source import FLIPS, Source

CSI_SIZE, CSI_FPS = Size(720, 1280), 30.0
TO_BGR = "videoconvert ! video/x-raw, format=BGR"
APPSINK = "appsink drop=true max-buffers=1 sync=false"
"""The newest frame only: appsink's own queue has no end, and its clock would hold frames back."""


def csi_pipeline(source: Source) -> str:
    """Return the pipeline of a Jetson's CSI camera: nvarguscamerasrc, flipped by nvvidconv, BGR on the host.

    nvvidconv gives BGRx and no BGR: the last step is the host's.
    """
    size, fps, options = source.size or CSI_SIZE, source.fps or CSI_FPS, source.options
    exposure = ""
    if options.exposure_us:
        exposure = f' exposuretimerange="{options.exposure_us * 1000} {options.exposure_us * 1000}"'
    return (
        f"nvarguscamerasrc sensor-id={source.location}{exposure} ! "
        f"video/x-raw(memory:NVMM), width={size.width}, height={size.height}, framerate={_fraction(fps)}, "
        f"format=NV12 ! nvvidconv flip-method={FLIPS.index(options.flip)} ! "
        f"video/x-raw, format=BGRx ! {TO_BGR} ! {APPSINK}"
    )


def rtsp_pipeline(source: Source, is_jetson: bool) -> str:
    """Return the pipeline of an RTSP camera, decoded by what the machine has; on a Jetson by its video decoder."""
    parts, options = urlsplit(source.location), source.options
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    login = ""
    if parts.username:
        login = f" user-id={_quoted(unquote(parts.username))} user-pw={_quoted(unquote(parts.password or ''))}"
    convert = f"nvvidconv ! video/x-raw, format=BGRx ! {TO_BGR}" if is_jetson else TO_BGR
    return (
        f"rtspsrc location={_quoted(address)} protocols={options.transport} latency={options.latency_ms} "
        f"drop-on-latency=true{login} ! application/x-rtp, media=video ! decodebin ! {convert} ! {APPSINK}"
    )


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


def ffmpeg_options(source: Source, analyse_s: float) -> str:
    """Return OPENCV_FFMPEG_CAPTURE_OPTIONS for an RTSP camera; `nobuffer` hands frames on as they come.

    Args:
        source: of the kind `rtsp`.
        analyse_s: how much of the stream is read, and delays its opening, to find out what it holds.
    """
    options = {
        "rtsp_transport": source.options.transport,
        "max_delay": str(source.options.latency_ms * 1000),
        "fflags": "nobuffer+discardcorrupt",
        "flags": "low_delay",
        "analyzeduration": str(round(analyse_s * 1e6)),
    }
    return "|".join(f"{key};{value}" for key, value in options.items())


def _fraction(fps: float) -> str:
    """Write 29.97 as 30000/1001."""
    for denominator in (1, 1001):
        numerator = round(fps * denominator / 1000) * 1000 if denominator == 1001 else round(fps)
        if abs(numerator / denominator - fps) < 0.005:
            return f"{numerator}/{denominator}"
    exact = Fraction(fps).limit_denominator(100)
    return f"{exact.numerator}/{exact.denominator}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
