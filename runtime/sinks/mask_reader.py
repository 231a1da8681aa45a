"""One process that reads masks from the socket."""

from __future__ import annotations

import socket
import time

from edgeseg.runtime.sinks.mask_message import ASK_BYTES, MaskMessage, version_asked


class MaskReader:
    """A process that reads: the message on its way, and the newest one after it.

    Attributes:
        version: of the messages that it wants.
        next: the message that follows the one on its way.
    """

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.version = 1
        self.next: bytes | None = None
        self._said = b""
        self._sending = memoryview(b"")
        self._took_at = time.monotonic()

    @property
    def has_work(self) -> bool:
        return bool(self._sending) or self.next is not None

    def hear(self, said: bytes) -> None:
        """Take what it says, of which the first bytes alone count."""
        self._said = (self._said + said)[:ASK_BYTES]
        self.version = version_asked(self._said)

    def put(self, message: MaskMessage) -> bool:
        """Let a message be the next; return whether one before it is missed for that."""
        if not self.has_work:  # it had nothing to take before
            self._took_at = time.monotonic()
        is_missed = self.next is not None
        self.next = message.of(self.version)
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
