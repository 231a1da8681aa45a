"""MJPEG over HTTP (multipart/x-mixed-replace), as IP cameras and mjpg-streamer send it."""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from typing import Any
from urllib.parse import unquote, urlsplit

import cv2
import numpy as np

from edgeseg.core.errors import SourceError
from edgeseg.runtime.sources.clocks import Stamp, StreamClock
from edgeseg.runtime.sources.corruption import JpegLog
from edgeseg.runtime.sources.opencv import FALLBACK_FPS
from edgeseg.runtime.sources.reader import DamagedFrameError, Frame, Reader
from edgeseg.runtime.sources.source import Source

_CONNECT_TIMEOUT_S = 4.0  # ends a try with a reason, before the supervisor's own time-out ends it without
_MOST_BYTES = 32 * 2**20  # of one picture
_LONGEST_LINE = 8192


class MjpegReader(Reader):
    """One HTTP request that answers with JPEG pictures for as long as it lives.

    The pictures are taken apart here and not by FFmpeg, so that a damaged one is seen: none goes on as good.
    """

    def __init__(self, source: Source) -> None:
        self._uri = source.uri
        self._response = _get(source)
        kind = self._response.headers.get_content_type()
        boundary = self._response.headers.get_param("boundary")
        if not kind.startswith("multipart/") or not isinstance(boundary, str):
            raise SourceError(f"source {source.uri}: sends {kind}; expected an MJPEG stream, multipart/x-mixed-replace")
        # How long a picture may take is --stall-seconds: the supervisor ends this process when it is over.
        self._response.fp.raw._sock.settimeout(None)
        self._boundary = b"--" + boundary.strip('"').removeprefix("--").encode()
        self._clock = StreamClock()
        self._damage = JpegLog()
        self.fps = FALLBACK_FPS

    def read(self, buffer: Frame | None) -> Frame | None:
        try:
            part = self._next_part()
        except (OSError, HTTPException, ValueError) as error:
            raise SourceError(f"source {self._uri}: the stream broke off ({_reason(error)})") from error
        if part is None:
            return None
        headers, data = part
        self.stamp = self._stamp(headers)
        with self._damage:
            picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
        if picture is None or self._damage.damage:
            raise DamagedFrameError(f"source {self._uri}: a picture cannot be decoded")
        return np.asarray(picture, np.uint8)

    def _stamp(self, headers: dict[bytes, bytes]) -> Stamp:
        """Take the time that mjpg-streamer and others send with a picture."""
        text = headers.get(b"x-timestamp", b"")
        return self._clock.stamp(float(text)) if re.fullmatch(rb"\d+(\.\d+)?", text) else Stamp(time.monotonic())

    def _next_part(self) -> tuple[dict[bytes, bytes], bytes] | None:
        """Return headers and body of the next picture; None at the end of the stream."""
        while not (line := self._line()).startswith(self._boundary):
            if not line:
                return None
        if line.rstrip() == self._boundary + b"--":
            return None
        headers = dict(self._headers())
        length = headers.get(b"content-length", b"")
        if not length.isdigit():
            return headers, self._until_boundary()
        if int(length) > _MOST_BYTES:
            raise ValueError(f"a picture of {int(length)} bytes")
        data = self._response.read(int(length))
        return (headers, data) if len(data) == int(length) else None

    def _line(self) -> bytes:
        line: bytes = self._response.readline(_LONGEST_LINE)
        return line

    def _headers(self) -> Iterator[tuple[bytes, bytes]]:
        while line := self._line().strip():
            name, _, value = line.partition(b":")
            yield name.strip().lower(), value.strip()

    def _until_boundary(self) -> bytes:
        """Read a picture of unstated length: to its end mark, which JPEG data hold nowhere else."""
        data = bytearray()
        while not data[-4:].rstrip(b"\r\n").endswith(b"\xff\xd9"):
            line = self._line()
            if not line or len(data) > _MOST_BYTES:
                break
            data += line
        return bytes(data)

    def close(self) -> None:
        self._response.close()


def _get(source: Source) -> Any:
    parts = urlsplit(source.location)
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    passwords = urllib.request.HTTPPasswordMgrWithPriorAuth()
    if parts.username:
        passwords.add_password(None, address, unquote(parts.username), unquote(parts.password or ""))
    handlers = [
        urllib.request.ProxyHandler({}),  # a camera is on this network
        urllib.request.HTTPBasicAuthHandler(passwords),
        urllib.request.HTTPDigestAuthHandler(passwords),
    ]
    try:
        return urllib.request.build_opener(*handlers).open(address, timeout=_CONNECT_TIMEOUT_S)
    except (OSError, HTTPException, ValueError) as error:
        raise SourceError(f"source {source.uri}: no answer that is of use ({_reason(error)}); check it") from error


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    inner = getattr(error, "reason", error)
    return getattr(inner, "strerror", None) or str(inner) or type(inner).__name__
