"""Clips of road videos as cameras and files code them, taken apart into packets and put together again, by PyAV.

The wheel of PyAV holds x264 (GPL): it is installed for this benchmark alone, by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Size
from edgeseg.scenes import Drive

Frame = NDArray[np.uint8]
GROUP = 25  # frames from one key frame to the next
CLIP_FRAMES = 3 * GROUP  # one that shows the scene, one that is damaged, one in which it has to be good again
WIDTH = 640


class Coding(NamedTuple):
    """How a clip is coded: FFmpeg's encoder with its options, and the suffix, which names the container."""

    encoder: str
    suffix: str
    options: dict[str, str]


CODINGS = {
    "MJPEG, http": Coding("mjpeg", ".avi", {"qscale": "5"}),  # each packet is sent as a camera's picture
    "MJPEG, avi": Coding("mjpeg", ".avi", {"qscale": "5"}),
    "H.264, mp4": Coding("libx264", ".mp4", {"preset": "veryfast", "crf": "26"}),  # with B frames
    "H.264, mkv": Coding("libx264", ".mkv", {"preset": "veryfast", "crf": "26", "tune": "zerolatency"}),  # a camera's
    "VP9, webm": Coding("libvpx-vp9", ".webm", {"deadline": "realtime", "cpu-used": "8", "crf": "36", "b": "0"}),
}


class Packet(NamedTuple):
    """One coded frame."""

    data: bytes
    pts: int | None
    dts: int | None
    is_key: bool


def clips_of(video: str, count: int) -> Iterator[list[Frame]]:
    """Yield up to `count` clips of CLIP_FRAMES of a video file, 640 pixels wide, or of `drive:SEED`, drawn.

    A file that is shorter is played forwards and backwards.
    """
    if video.startswith("drive:"):
        drive = Drive(int(video.partition(":")[2]), Size(360, 640), fps=30.0)
        frames: Iterator[Frame] = (drive.frame(index)[0] for index in range(count * CLIP_FRAMES))
    else:
        whole = list(islice(_frames(video), count * CLIP_FRAMES))
        frames = iter(whole)
        if len(whole) < CLIP_FRAMES:
            frames = islice(cycle(chain(whole, whole[-2:0:-1])), CLIP_FRAMES)
    while len(clip := list(islice(frames, CLIP_FRAMES))) == CLIP_FRAMES:
        yield clip


def _frames(video: str) -> Iterator[Frame]:
    capture = cv2.VideoCapture(video)
    while True:
        ok, frame = capture.read()
        if not ok:
            return
        height = round(frame.shape[0] * WIDTH / frame.shape[1] / 2) * 2
        yield np.asarray(cv2.resize(frame, (WIDTH, height), interpolation=cv2.INTER_AREA), np.uint8)


def encode(frames: list[Frame], coding: Coding, path: Path) -> None:
    """Write a clip, 30 frames a second."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(coding.encoder, rate=30, options={**coding.options, "g": str(GROUP)})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if coding.encoder == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, 30)
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="bgr24")))
        container.mux(stream.encode())


def packets_of(path: Path) -> list[Packet]:
    with av.open(str(path)) as container:
        packets = container.demux(container.streams.video[0])
        return [Packet(bytes(each), each.pts, each.dts, each.is_keyframe) for each in packets if each.size]


def assemble(packets: list[Packet], like: Path, path: Path) -> None:
    """Write packets into a container such as that of `like`, whose headers they share."""
    with av.open(str(like)) as original, av.open(str(path), "w") as container:
        source = original.streams.video[0]
        stream = container.add_stream_from_template(source)
        for each in packets:
            packet = av.Packet(each.data)
            packet.pts, packet.dts, packet.is_keyframe = each.pts, each.dts, each.is_key
            packet.time_base, packet.stream = source.time_base, stream
            container.mux(packet)
