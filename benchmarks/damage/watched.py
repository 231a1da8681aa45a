"""Coded clips through edgeseg's readers and watches, as in the capture process: what comes, and what is seen in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from coded_clips import Frame, Packet, assemble

from edgeseg.runtime.capture.watches import Watches
from edgeseg.runtime.sources.addresses import parse_source
from edgeseg.runtime.sources.jpegs import JpegLog, decode
from edgeseg.runtime.sources.kinds.video import VideoReader
from edgeseg.runtime.sources.reader import Reader
from edgeseg.runtime.states import Reason

FROZEN_S = 0.5
CLIP_FPS = 30


class Seen(NamedTuple):
    """A frame that came.

    Attributes:
        position: which of the clip's.
        picture: (H, W, 3) uint8 BGR.
        reasons: what the watches saw; the mask is `ok` without any.
    """

    position: int
    picture: Frame
    reasons: list[Reason]


class _Pictures(Reader):
    """JPEGs as an HTTP camera sends them; a damaged one is left out, as MjpegReader does it."""

    fps = CLIP_FPS

    def __init__(self, packets: list[Packet]) -> None:
        self._packets, self._log, self._next = packets, JpegLog(), 0

    def read(self, buffer: Frame | None) -> Frame | None:
        while self._next < len(self._packets):
            picture, damage = decode(self._packets[self._next].data, self._log)
            self.position_s = self._next / CLIP_FPS
            self._next += 1
            if picture is not None and not damage:
                return picture
        return None


def watched(packets: list[Packet], like: Path, folder: Path, is_http: bool) -> Iterator[Seen]:
    """Yield what comes of packets, in a container as that of `like` unless a camera sends them over HTTP."""
    path = folder / f"damaged{like.suffix}"
    if not is_http:
        assemble(packets, like, path)
    reader = _Pictures(packets) if is_http else VideoReader(parse_source(str(path)))
    watches = Watches(FROZEN_S, plausibility=True)
    while (frame := reader.read(None)) is not None:
        assert reader.position_s is not None
        yield Seen(round(reader.position_s * CLIP_FPS), frame, watches.look(frame, reader.position_s, reader))
    reader.close()
