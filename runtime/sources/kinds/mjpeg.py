"""MJPEG over HTTP (multipart/x-mixed-replace), as IP cameras and mjpg-streamer send it."""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any

from edgeseg.core.errors import SourceError
from edgeseg.runtime.sources.clocks import Stamp, StreamClock
from edgeseg.runtime.sources.jpegs import JpegLog, decode
from edgeseg.runtime.sources.multipart import Multipart
from edgeseg.runtime.sources.opencv import FALLBACK_FPS
from edgeseg.runtime.sources.reader import DamagedFrameError, Frame, Reader
from edgeseg.runtime.sources.source import Source

_CONNECT_TIMEOUT_S = 4.0  # ends a try with a reason, before the supervisor's own time-out ends it without


class MjpegReader(Reader):
    """One HTTP request that answers with JPEG pictures for as long as it lives.

    The pictures are taken apart here and not by FFmpeg, so that a damaged one is seen: none goes on as good.
    """

    def __init__(self, source: Source) -> None:
        self._uri = source.uri
        self._response = _get(source)
        kind = self._response.headers.get_content_type()
        boundary = self._response.headers.get_boundary()
        if not kind.startswith("multipart/"):
            raise SourceError(f"source {source.uri}: sends {kind}; expected an MJPEG stream, multipart/x-mixed-replace")
        # How long a picture may take is --stall-seconds: the supervisor ends this process when it is over.
        self._response.fp.raw._sock.settimeout(None)
        self._parts = Multipart(self._response.read1, boundary)
        self._clock = StreamClock()
        self._damage = JpegLog()
        self.fps = FALLBACK_FPS

    def read(self, buffer: Frame | None) -> Frame | None:
        try:
            part = self._parts.next_part()
        except (OSError, HTTPException, ValueError) as error:
            raise SourceError(f"source {self._uri}: the stream broke off ({_reason(error)})") from error
        if part is None:
            return None
        headers, data = part
        self.stamp = self._stamp(headers)
        picture, damage = decode(data, self._damage)
        if picture is None or damage:
            raise DamagedFrameError(f"source {self._uri}: a picture cannot be decoded ({damage or 'no JPEG'})")
        return picture

    def _stamp(self, headers: dict[bytes, bytes]) -> Stamp:
        """Take the time that mjpg-streamer and others send with a picture."""
        text = headers.get(b"x-timestamp", b"")
        return self._clock.stamp(float(text)) if re.fullmatch(rb"\d+(\.\d+)?", text) else Stamp(time.monotonic())

    def close(self) -> None:
        self._response.close()


def _get(source: Source) -> Any:
    address = source.network_address.without_login()
    passwords = urllib.request.HTTPPasswordMgrWithPriorAuth()
    if source.network_address.login:
        passwords.add_password(None, address, *source.network_address.login)
    handlers = [
        urllib.request.ProxyHandler({}),  # a camera is on this network
        urllib.request.HTTPBasicAuthHandler(passwords),
        _DigestAuthentication(passwords),
    ]
    try:
        return urllib.request.build_opener(*handlers).open(address, timeout=_CONNECT_TIMEOUT_S)
    except (OSError, HTTPException, ValueError) as error:
        raise SourceError(f"source {source.uri}: no answer that is of use ({_reason(error)}); check it") from error


class _DigestAuthentication(urllib.request.HTTPDigestAuthHandler):
    """urllib's, with words for a challenge that lacks what RFC 7616 demands of it."""

    def retry_http_digest_auth(self, req: urllib.request.Request, auth: str) -> Any:
        given = {each.partition("=")[0].strip() for each in urllib.request.parse_http_list(auth.partition(" ")[2])}
        missing = [name for name in ("realm", "nonce") if name not in given]
        if missing:
            raise ValueError(f"it asks for digest authentication without {' and '.join(missing)}; set it to basic")
        return super().retry_http_digest_auth(req, auth)


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    inner = getattr(error, "reason", error)
    return getattr(inner, "strerror", None) or str(inner) or type(inner).__name__
