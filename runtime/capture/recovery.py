"""When to try a camera again: backoff, and a quick look whether it answers, so that its return is noticed at once."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from edgeseg.runtime.sources.source import Source

FIRST_DELAY_S, LONGEST_DELAY_S = 0.2, 5.0
LAST_RESORT_S = 10.0  # tried even if the look says that it is away: a camera may answer nothing but its stream
_LOOK_EVERY_S = 0.4
_ANSWER_WITHIN_S = 1.0

Probe = Callable[[], bool]


class Backoff:
    """0.2 s, doubled after each failure to 5 s; back to 0.2 s once it streamed for as long as the last wait."""

    def __init__(self) -> None:
        self.delay_s = 0.0

    def failed(self, streamed_s: float) -> float:
        """Return how long to wait after an attempt that streamed for `streamed_s` seconds."""
        is_first = not self.delay_s or streamed_s >= self.delay_s
        self.delay_s = FIRST_DELAY_S if is_first else min(LONGEST_DELAY_S, 2 * self.delay_s)
        return self.delay_s


def wait_for_return(delay_s: float, probe: Probe | None, stop: threading.Event, limit_s: float = LAST_RESORT_S) -> None:
    """Wait `delay_s`: less if the camera, not seen at first, comes back; longer while it is away.

    Never longer than LAST_RESORT_S or `limit_s`.
    """
    now = time.monotonic()
    end, last_resort = now + delay_s, now + min(LAST_RESORT_S, limit_s)
    was_away = False
    while not stop.is_set() and (now := time.monotonic()) < last_resort:
        answers = probe is None or probe()
        if answers and (was_away or now >= end):
            return
        was_away = was_away or not answers
        stop.wait(min(_LOOK_EVERY_S, max(0.01, end - now) if answers else _LOOK_EVERY_S))


def probe_of(source: Source) -> Probe | None:
    """Return a look at whether a camera answers; None where there is no cheap one (csi://, gst://)."""
    if source.kind == "v4l2":
        return Path(source.location).exists
    if source.kind not in ("rtsp", "http"):
        return None
    address = source.network_address
    host, port, is_plain = address.host.strip("[]"), address.port, address.scheme in ("rtsp", "http")
    greeting = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n" if source.kind == "rtsp" else b"HEAD / HTTP/1.0\r\n\r\n"
    return lambda: answers_at(host, port, greeting if is_plain else b"")


def answers_at(host: str, port: int, greeting: bytes) -> bool:
    """Whether a server accepts and, greeted, says anything at all within a second."""
    try:
        with socket.create_connection((host, port), _ANSWER_WITHIN_S) as connection:
            connection.sendall(greeting)
            return not greeting or bool(connection.recv(1))
    except OSError:
        return False
