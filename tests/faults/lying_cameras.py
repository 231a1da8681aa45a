"""Servers on loopback that answer as no camera should, each in a way of its own."""

from __future__ import annotations

import base64
import contextlib
import gzip
import socket
import threading
import time
from collections.abc import Callable
from random import Random
from types import TracebackType

import cv2
import numpy as np

from edgeseg.core.geometry import Size
from tests.faults.mutate import damaged
from tests.helpers.colour_model import VIDEO_SIZE, numbered_frame
from tests.helpers.large_pictures import png_of

Lie = Callable[[socket.socket, bytes, Random], None]
_BOUNDARY = b"frame"
_HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
_LONGEST_S = 6.0  # of a connection


def jpeg(index: int = 0, size: Size = VIDEO_SIZE) -> bytes:
    return cv2.imencode(".jpg", numbered_frame(index, size))[1].tobytes()


def part(data: bytes, length: object = None, more: bytes = b"") -> bytes:
    stated = str(len(data) if length is None else length).encode()
    return b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %s\r\n%s\r\n%s\r\n" % (stated, more, data)


class LyingCamera:
    """Answers each connection by one lie.

    Attributes:
        asked: what clients sent, all together.
    """

    def __init__(self, lie: Lie, seed: object) -> None:
        self.asked = b""
        self._lie, self._seed = lie, seed
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self) -> LyingCamera:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        number = 0
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=[connection, number], daemon=True).start()
                number += 1

    def _answer(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(_LONGEST_S)
            request = connection.recv(65536)
            self.asked += request
            self._lie(connection, request, Random(f"{self._seed} {number}"))


def says(answer: bytes | Callable[[Random], bytes]) -> Lie:
    """Return a lie that is one answer, and then the end."""

    def lie(connection: socket.socket, request: bytes, draw: Random) -> None:
        connection.sendall(answer(draw) if callable(answer) else answer)

    return lie


def streams(make: Callable[[Random, int], bytes], head: bytes = _HEAD, period_s: float = 0.03) -> Lie:
    """Return a lie that sends parts without an end."""

    def lie(connection: socket.socket, request: bytes, draw: Random) -> None:
        connection.sendall(head)
        end, index = time.monotonic() + _LONGEST_S, 0
        while time.monotonic() < end:
            connection.sendall(make(draw, index))
            index += 1
            time.sleep(period_s)

    return lie


def _drip(connection: socket.socket, request: bytes, draw: Random) -> None:
    for byte in _HEAD + part(jpeg()):
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def _endless(connection: socket.socket, request: bytes, draw: Random) -> None:
    """A header without an end."""
    connection.sendall(b"HTTP/1.0 200 OK\r\nX: ")
    end = time.monotonic() + _LONGEST_S
    while time.monotonic() < end:
        connection.sendall(b"a" * 65536)


def _content_type(text: bytes) -> Lie:
    head = b"HTTP/1.0 200 OK\r\nContent-Type: " + text + b"\r\n\r\n"
    return streams(lambda draw, index: part(jpeg(index)), head)


def _challenge(text: bytes) -> Lie:
    return says(b"HTTP/1.0 401 No\r\nWWW-Authenticate: " + text + b"\r\nContent-Length: 0\r\n\r\n")


def _grey(index: int) -> bytes:
    return cv2.imencode(".jpg", np.full((30 + index % 3, 40), index % 250, np.uint8))[1].tobytes()


def _huge_head(draw: Random, index: int) -> bytes:
    """A JPEG that states 65500x65500."""
    data = jpeg(index)
    at = data.index(b"\xff\xc0") + 5
    return part(data[:at] + b"\xff\xdc\xff\xdc" + data[at + 4 :])


_TIMES = (b"nan", b"inf", b"-1", b"1e400", b"9" * 400, b"\xff", b"0", b"1.2.3", b"99999999999", b"")
_LENGTHS = (-1, 0, "nan", "9" * 300, 2**31, 2**63, "0x10", "", "1 2", "\u0663")

_LARGE = png_of(Size(9000, 9000))
HTTP_LIES: dict[str, Lie] = {
    "no status": says(b"\r\n\r\n"),
    "status 999": says(b"HTTP/1.1 999 Odd\r\n\r\n"),
    "status of text": says(b"HTTP/1.1 two hundred\r\n\r\n"),
    "status 500 with control characters": says(b"HTTP/1.1 500 \x1b[31mred\x07\r\n\r\n"),
    "HTTP 0.9": says(b"hello"),
    "only continue": says(b"HTTP/1.1 100 Continue\r\n\r\n" * 200),
    "bytes": says(lambda draw: draw.randbytes(5000)),
    "a damaged head": says(lambda draw: damaged(_HEAD, draw) + part(jpeg())),
    "an endless header": _endless,
    "many headers": says(b"HTTP/1.0 200 OK\r\n" + b"X: y\r\n" * 2000 + b"\r\n"),
    "folded headers": says(b"HTTP/1.0 200 OK\r\n" + b" folded\r\n" * 50 + b"\r\n"),
    "drips": _drip,
    "HTML": says(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<h1>Login</h1>"),
    "no content type": says(b"HTTP/1.0 200 OK\r\n\r\n" + part(jpeg())),
    "no boundary": _content_type(b"multipart/x-mixed-replace"),
    "an empty boundary": _content_type(b'multipart/x-mixed-replace; boundary=""'),
    "a boundary in bytes": _content_type(b"multipart/x-mixed-replace; boundary=\xff\xfe"),
    "a long boundary": _content_type(b"multipart/x-mixed-replace; boundary=" + b"b" * 60_000),
    "another boundary": _content_type(b"multipart/x-mixed-replace; boundary=other"),
    "an encoded boundary": _content_type(b"multipart/x-mixed-replace; boundary*=utf-8''fr%61me"),
    "a redirect to itself": says(b"HTTP/1.0 302 Found\r\nLocation: /stream\r\n\r\n"),
    "a redirect to a file": says(b"HTTP/1.0 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n"),
    "a redirect to nowhere": says(b"HTTP/1.0 302 Found\r\nLocation: http://[::1\r\n\r\n"),
    "a redirect to another scheme": says(b"HTTP/1.0 301 Moved\r\nLocation: gopher://127.0.0.1/x\r\n\r\n"),
    "a redirect without a place": says(b"HTTP/1.0 302 Found\r\n\r\n"),
    "a challenge without end": _challenge(b'Basic realm="x"'),
    "a challenge without a realm": _challenge(b"Digest nonce=1"),
    "a challenge of Digest": _challenge(b'Digest realm="x", nonce="y", algorithm=MD4, qop=odd'),
    "a challenge in bytes": _challenge(b"\xff\xfe\x00"),
    "a challenge without a name": _challenge(b","),
    "gzip": says(
        b"HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
        + gzip.compress(part(jpeg()))
    ),
    "chunks of nonsense": says(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: multipart/x-mixed-replace; "
        b"boundary=frame\r\n\r\nzzzz\r\nhello"
    ),
    "a chunk of -1": says(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: multipart/x-mixed-replace; "
        b"boundary=frame\r\n\r\n-1\r\nhello"
    ),
    "a length of the whole": says(_HEAD.replace(b"\r\n\r\n", b"\r\nContent-Length: 30\r\n\r\n") + part(jpeg())),
    "odd lengths": streams(lambda draw, index: part(jpeg(index), draw.choice(_LENGTHS))),
    "lengths a little off": streams(
        lambda draw, index: part(data := jpeg(index), max(0, len(data) + draw.randrange(-9, 9)))
    ),
    "odd times": streams(lambda draw, index: part(jpeg(index), more=b"X-Timestamp: " + draw.choice(_TIMES) + b"\r\n")),
    "empty parts": streams(lambda draw, index: part(b"")),
    "no end of line": streams(lambda draw, index: b"a" * 100_000),
    "damaged pictures": streams(lambda draw, index: part(damaged(jpeg(index), draw))),
    "damaged parts": streams(lambda draw, index: damaged(part(jpeg(index)), draw)),
    "PNG": streams(lambda draw, index: part(cv2.imencode(".png", numbered_frame(index))[1].tobytes())),
    "a PNG of 9000x9000": streams(lambda draw, index: part(_LARGE), period_s=0.5),
    "JPEGs that state 65500x65500": streams(_huge_head),
    "grey pictures of changing size": streams(lambda draw, index: part(_grey(index))),
    "sizes at random": streams(
        lambda draw, index: part(jpeg(index, Size(draw.randrange(1, 400), draw.randrange(1, 400))))
    ),
    "one pixel": streams(lambda draw, index: part(jpeg(index, Size(1, 3)))),
    "text for pictures": streams(lambda draw, index: part(b"<html>" * draw.randrange(1, 2000))),
    "good ones among bad": streams(lambda draw, index: part(jpeg(index) if index % 3 else draw.randbytes(500))),
    "hangs up at once": lambda connection, request, draw: None,
    "hangs up in a picture": says(lambda draw: _HEAD + part(jpeg())[: draw.randrange(20, 900)]),
    "the last boundary": says(_HEAD + b"--frame--\r\n"),
    "nothing after the head": streams(lambda draw, index: b"", period_s=0.5),
    "only boundaries": streams(lambda draw, index: b"--frame\r\n" * 500),
    "comments of 64 kB": streams(
        lambda draw, index: part(jpeg(index)[:2] + b"\xff\xfe\xff\xff" + b"c" * 65533 + jpeg(index)[2:])
    ),
}

_SDP = (
    b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    b"a=control:track1\r\n"
)


def _rtsp(sdp: Callable[[Random], bytes], status: bytes = b"200 OK", more: bytes = b"") -> Lie:
    """Return a lie that answers each request, DESCRIBE by a session description."""

    def lie(connection: socket.socket, request: bytes, draw: Random) -> None:
        while request:
            number = next((line for line in request.split(b"\r\n") if line.lower().startswith(b"cseq")), b"CSeq: 1")
            body = sdp(draw) if request.startswith(b"DESCRIBE") else b""
            head = b"RTSP/1.0 %s\r\n%s\r\n%s" % (status, number, more)
            head += b"Public: DESCRIBE, SETUP, PLAY\r\nSession: 1\r\nContent-Type: application/sdp\r\n"
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            request = connection.recv(65536)

    return lie


RTSP_LIES: dict[str, Lie] = {
    "RTSP: bytes": says(lambda draw: draw.randbytes(3000)),
    "RTSP: an answer of HTTP": says(_HEAD),
    "RTSP: hangs up": lambda connection, request, draw: None,
    "RTSP: not found": _rtsp(lambda draw: b"", b"404 Not Found"),
    "RTSP: a challenge without end": _rtsp(
        lambda draw: b"", b"401 No", b'WWW-Authenticate: Digest realm="x", nonce="y"\r\n'
    ),
    "RTSP: a redirect": _rtsp(lambda draw: b"", b"302 Moved", b"Location: file:///etc/passwd\r\n"),
    "RTSP: no description": _rtsp(lambda draw: b""),
    "RTSP: a damaged description": _rtsp(lambda draw: damaged(_SDP, draw)),
    "RTSP: a description of bytes": _rtsp(lambda draw: draw.randbytes(2000)),
    "RTSP: no video": _rtsp(lambda draw: _SDP.replace(b"video", b"audio")),
    "RTSP: an unknown codec": _rtsp(lambda draw: _SDP.replace(b"H264", b"X999")),
    "RTSP: parameters of nonsense": _rtsp(
        lambda draw: _SDP + b"a=fmtp:96 sprop-parameter-sets=" + base64.b64encode(draw.randbytes(99)) + b"\r\n"
    ),
    "RTSP: sets up and says nothing": _rtsp(lambda draw: _SDP),
    "RTSP: a header without end": says(b"RTSP/1.0 200 OK\r\nX: " + b"a" * 500_000),
}
