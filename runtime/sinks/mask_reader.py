"""One process that reads masks from the socket."""

from __future__ import annotations

import socket
import time


class MaskReader:
    """A process that reads: the message on its way, and the newest one after it."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.next: bytes | None = None
        self._sending = memoryview(b"")
        self._took_at = time.monotonic()

    @property
    def has_work(self) -> bool:
        return bool(self._sending) or self.next is not None

    def put(self, message: bytes) -> bool:
        """Let a message be the next; return whether one before it is missed for that."""
        if not self.has_work:  # it had nothing to take before
            self._took_at = time.monotonic()
        is_missed = self.next is not None
        self.next = message
        return is_missed

    def send(self) -> None:
        """Send what the socket takes now. Raises OSError when the reader has gone."""
        while self.has_work:
            if not self._sending:
                assert self.next is not None
                self._sending, self.next = memoryview(self.next), None
            try:
                sent = self.channel.send(self._sending)
            except BlockingIOError:
                return
            self._sending = self._sending[sent:]
            if not self._sending:
                self._took_at = time.monotonic()

    def stuck_s(self) -> float:
        """For how long it has taken no whole message of those that wait for it: drops now and then do not count."""
        return time.monotonic() - self._took_at if self.has_work else 0.0
