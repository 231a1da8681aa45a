"""One browser that looks on: what is on its way to it, and what it says."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from websockets.asyncio.server import ServerConnection

from edgeseg.core.errors import UsageError
from edgeseg.core.json_text import parse_json
from edgeseg.runtime.sinks.base import Heartbeat
from edgeseg.runtime.sinks.kinds.live.clock import Exchange, ViewerClock
from edgeseg.runtime.sinks.kinds.live.message import beat, now_ms, timed

UNDER_WAY = 2
"""Pictures sent but not drawn yet: one on the wire and one being drawn. TCP's buffers would hold seconds of them."""

_MOST_MESSAGES = 300  # a second, from a viewer: 60 pictures, and none that talks without end


class Viewer:
    """A viewer's session. All of it runs on the server's event loop.

    Attributes:
        sent, missed: pictures.
    """

    def __init__(self, channel: ServerConnection) -> None:
        self._channel = channel
        self._clock = ViewerClock()
        self._under_way: set[int] = set()
        self._frames: deque[bytes] = deque()
        self._texts: dict[str, str] = {}
        self._has_paused = False
        self._news = asyncio.Event()
        self._second, self._messages = 0, 0
        self.sent = self.missed = 0

    @property
    def is_ready(self) -> bool:
        """Whether it takes the next picture."""
        return not self._has_paused and len(self._under_way) < UNDER_WAY

    def offer(self, frame: int, message: bytes) -> None:
        """Send a picture, unless two are under way: the one after the next acknowledgement will be newer."""
        if not self.is_ready:
            self.missed += not self._has_paused
            return
        self.sent += 1
        self._under_way.add(frame)
        self._frames.append(message)
        self._news.set()

    def tell(self, document: dict[str, Any]) -> None:
        """Send a text; one of its type that is not sent yet is replaced."""
        self._texts[document["type"]] = timed(document)
        self._news.set()

    def beat(self, heartbeat: Heartbeat) -> None:
        self.tell(beat(heartbeat, self._clock.estimate()))

    async def send(self) -> None:
        """Send what there is, until the connection ends."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._texts or self._frames:
                texts, self._texts = list(self._texts.values()), {}
                for text in texts:
                    await self._channel.send(text)
                if self._frames:
                    await self._channel.send(self._frames.popleft())

    def hear(self, text: str | bytes) -> bool:
        """Take a message of the viewer; False for one that no page of ours sends."""
        if self._talks_too_much():
            return False
        try:
            said = parse_json(str(text), "a viewer", "JSON")
            if "paused" in said:
                self._has_paused = bool(said["paused"])
                return True
            sent, received, done = (float(said[name]) for name in ("sent", "received", "done"))
            self._clock.add(Exchange(sent, received, done, now_ms()))
            self._under_way.discard(said.get("frame"))
        except (UsageError, ValueError, KeyError, TypeError, AttributeError):
            return False
        return True

    def _talks_too_much(self) -> bool:
        second = int(now_ms() / 1e3)
        if second != self._second:
            self._second, self._messages = second, 0
        self._messages += 1
        return self._messages > _MOST_MESSAGES
