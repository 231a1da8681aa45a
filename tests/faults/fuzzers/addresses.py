"""Addresses of cameras with a password somewhere in them, which nothing may repeat."""

from __future__ import annotations

from random import Random
from urllib.parse import quote

from edgeseg.runtime.sources.addresses import parse_source
from tests.faults.fuzzing import Fuzzer

_SCHEMES = ("rtsp", "rtsps", "http", "https", "RTSP")
_OTHERS = ("gst", "ftp", "unknown")  # which want ://, else they are a file's name, which may be repeated
_SEPARATORS = ("://", "://", ":/", ":", ":///")
_HOSTS = (
    "10.0.0.5",
    "camera",
    "[::1]",
    "camera:554",
    "camera:99999",
    "camera:x",
    "",
    "[::1",
    "a b",
    "ä.de",
    "-",
    "%00",
)
_KEYS = (
    "passphrase",
    "sig",
    "token",
    "password",
    "pwd",
    "key",
    "auth",
    "user-pw",
    "X-Amz-Signature",
    "p",
    "PASS",
    "pw",
)
_BETWEEN = ("", " ", "\t", "?", "#", "/", "@", ":", "%", "&", ";", "\n", "\\", '"', "'", "=", "\0", "é")
_PIPELINES = (
    "rtspsrc location=rtsp://{host}/1 user-id=me user-pw={secret} ! decodebin",
    'rtspsrc location="rtsp://me:{secret}@{host}/1" ! decodebin',
    'rtspsrc location=rtsp://{host}/1 user-pw="a {secret}" ! decodebin',
    "srtsrc uri=srt://{host}?passphrase={secret} ! decodebin",
    'souphttpsrc location=http://{host} extra-headers="x,Authorization=(string){secret}" ! jpegdec',
)


class AddressFuzzer(Fuzzer):
    """The password stands where users put it, between all that can stand beside it."""

    codes = frozenset({2, 3})
    secret = "Xq7Zw9Kp"

    def make(self, draw: Random) -> str:
        secret = self.secret if draw.random() < 0.7 else quote(self.secret + draw.choice(_BETWEEN))
        host = draw.choice(_HOSTS)
        if draw.random() < 0.15:
            return "gst://" + draw.choice(_PIPELINES).format(host=host, secret=secret)
        around = f"{draw.choice(_BETWEEN)}{secret}{draw.choice(_BETWEEN)}"
        place = draw.randrange(4)
        user = f"me{draw.choice((':', ':', '', '%3A', ' :'))}{around}@" if place < 2 else ""
        query = f"?{draw.choice(_KEYS)}={around}&x=1" if place == 2 else draw.choice(("", "?x=a@b", "?x=1", "#f"))
        path = f"/{draw.choice(_KEYS)}={around}@/1" if place == 3 else draw.choice(("", "/", "/1", "/a@b/1", "/a b"))
        is_other = draw.random() < 0.2
        start = f"{draw.choice(_OTHERS)}://" if is_other else draw.choice(_SCHEMES) + draw.choice(_SEPARATORS)
        return f"{start}{user}{host}{path}{query}"

    def use(self, made: str) -> str:
        source = parse_source(made)
        told = source.address.reveal() if source.address else source.location
        error = f"cannot open {told}: connection refused"  # as libraries say it
        return "\n".join([source.uri, repr(source), str(source), source.without_secrets(error)])
