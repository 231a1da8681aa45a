"""`rtsp://`: IP cameras, by GStreamer on a Jetson, else by FFmpeg."""

from __future__ import annotations

import os

import cv2

from edgeseg.core.errors import SourceError
from edgeseg.runtime.machine.facts import is_jetson
from edgeseg.runtime.sources.corruption import DecoderLog
from edgeseg.runtime.sources.gstreamer import APPSINK, TO_BGR, GStreamerReader
from edgeseg.runtime.sources.opencv import StreamReader, check_stated_size
from edgeseg.runtime.sources.reader import Reader
from edgeseg.runtime.sources.source import Source

_OPEN_TIMEOUT_MS = 5000  # ends a try with a reason, before the supervisor's own time-out ends it without
_ANALYSE_S = (0.2, 5.0)  # enough for a camera that describes its stream; else until its key frame has come


def open_rtsp(source: Source) -> Reader:
    """Open an RTSP camera: by GStreamer on a Jetson, whose decoder FFmpeg does not use, else by FFmpeg."""
    has = cv2.videoio_registry.hasBackend  # what is only listed may be a plugin that is not installed
    if not has(cv2.CAP_FFMPEG) or (is_jetson() and has(cv2.CAP_GSTREAMER)):
        return RtspByGStreamer(source)
    log = DecoderLog()
    # A read may take as long as it likes (0): the supervisor ends this process after --stall-seconds.
    properties = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _OPEN_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 0]
    if hasattr(cv2, "CAP_PROP_N_THREADS"):  # else one a core, and FFmpeg holds a frame back for each but one
        properties += [cv2.CAP_PROP_N_THREADS, source.options.decoder_threads]
    for analyse_s in _ANALYSE_S:
        os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = ffmpeg_options(source, analyse_s)
        capture = cv2.VideoCapture(source.network_address.reveal(), cv2.CAP_FFMPEG, properties)
        if capture.isOpened():
            check_stated_size(capture, source.uri)
            return StreamReader(capture, log)
    reason = log.take() or "no answer"
    raise SourceError(
        f"source {source.uri}: no RTSP stream to be had ({source.without_secrets(reason)[:120]}); "
        f"check address, user and password, and --source-transport"
    )


class RtspByGStreamer(GStreamerReader):
    """An RTSP camera, decoded by what GStreamer has for it."""

    def _pipeline(self, source: Source) -> str:
        return rtsp_pipeline(source, is_jetson())


def rtsp_pipeline(source: Source, is_jetson: bool) -> str:
    """Return the pipeline of an RTSP camera, decoded by what the machine has; on a Jetson by its video decoder."""
    address, options = source.network_address, source.options
    login = ""
    if address.login:
        user, password = address.login
        login = f" user-id={_quoted(user)} user-pw={_quoted(password)}"
    convert = f"nvvidconv ! video/x-raw, format=BGRx ! {TO_BGR}" if is_jetson else TO_BGR
    return (
        f"rtspsrc location={_quoted(address.without_login())} "
        f"protocols={options.transport} latency={options.latency_ms} "
        f"drop-on-latency=true{login} ! application/x-rtp, media=video ! decodebin ! {convert} ! {APPSINK}"
    )


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


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
