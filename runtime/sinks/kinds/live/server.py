"""Serves the page and its viewers, on a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from edgeseg.runtime.sinks.base import Heartbeat
from edgeseg.runtime.sinks.kinds.live.access import Access, host_of
from edgeseg.runtime.sinks.kinds.live.assets import Assets, refuse
from edgeseg.runtime.sinks.kinds.live.viewer import Viewer
from edgeseg.runtime.sinks.web_address import WebAddress

MOST_VIEWERS = 8
SOCKET_PATH = "/live"
_MOST_CONNECTIONS = 64  # viewers, and browsers that fetch the page's files
_HEADERS_S = 5.0  # a client that sends its request more slowly is dropped
_ALIVE_S = 10.0  # between two pings, and for the answer: a viewer whose network has gone
_LONGEST_MESSAGE = 1024  # of a viewer, which acknowledges and pauses
_START_S = 10.0
_FAREWELL_S = 1.0
_FULL, _ENDED, _STRANGE = 1013, 1001, 1008  # RFC 6455, section 7.4, and the registry that it makes


class LiveServer:
    """Owns the thread, the sockets and the viewers.

    Args:
        address: where to listen.
        access: who may look on.
        hello: what each viewer is told first.
        readiness: called with whether any viewer takes a picture, whenever that may have changed.
        tls: None for an unencrypted page.
    """

    def __init__(
        self,
        address: WebAddress,
        access: Access,
        hello: dict[str, Any],
        readiness: Callable[[bool], None],
        tls: ssl.SSLContext | None,
    ) -> None:
        self._address, self._access, self._tls = address, access, tls
        self._hello, self._readiness = hello, readiness
        self._assets = Assets()
        self._viewers: set[Viewer] = set()
        self._heartbeat: Heartbeat | None = None
        self._connections = 0
        self._gone = {"sent": 0, "missed": 0}
        self._served = self._refused = 0
        self._loop = asyncio.new_event_loop()
        self._is_up = threading.Event()
        self._error: OSError | None = None
        self._end: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="edgeseg-live", daemon=True)
        self.port = 0

    def start(self) -> None:
        """Listen. Raises OSError if that cannot be."""
        self._thread.start()
        if not self._is_up.wait(_START_S):
            raise OSError("the server does not start")
        if self._error:
            raise self._error

    def close(self) -> None:
        """Tell the viewers that the run has ended; return when the thread has."""
        if self._end is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(_START_S)

    def publish(self, frame: int, message: bytes) -> None:
        """Offer a packed picture to every viewer. From any thread."""
        self._loop.call_soon_threadsafe(self._offer, frame, message)

    def beat(self, heartbeat: Heartbeat) -> None:
        """Tell every viewer how the run stands. From any thread."""
        self._loop.call_soon_threadsafe(self._pass_on, heartbeat)

    def counts(self) -> dict[str, int]:
        """Viewers that came, those turned away, pictures sent, and pictures missed by viewers that were busy."""
        present = list(self._viewers)
        sent, missed = (self._gone[name] + sum(getattr(each, name) for each in present) for name in ("sent", "missed"))
        return {"viewers": self._served, "refused_viewers": self._refused, "sent": sent, "missed": missed}

    # What follows runs on the server's own thread.

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except OSError as error:
            self._error = error
        finally:
            self._is_up.set()
            self._loop.close()

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        quiet = logging.getLogger("edgeseg.live")  # what a client does wrong is none of the user's errors
        quiet.addHandler(logging.NullHandler())
        quiet.propagate = False
        options: dict[str, Any] = {"ssl_handshake_timeout": _HEADERS_S} if self._tls else {}
        server = await serve(
            self._attend,
            self._address.host,
            self._address.port,
            ssl=self._tls,
            process_request=self._answer,
            create_connection=partial(_Counted, self),
            compression=None,
            open_timeout=_HEADERS_S,
            ping_interval=_ALIVE_S,
            ping_timeout=_ALIVE_S,
            close_timeout=_FAREWELL_S,
            max_size=_LONGEST_MESSAGE,
            server_header=None,
            logger=quiet,
            **options,
        )
        self.port = next(iter(server.sockets)).getsockname()[1]
        self._is_up.set()
        await self._end.wait()
        await self._leave(server)

    async def _leave(self, server: Server) -> None:
        server.close(code=_ENDED, reason="the run has ended")
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(server.wait_closed(), 2 * _FAREWELL_S)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _answer(self, channel: ServerConnection, request: Request) -> Response | None:
        """Answer a request; None for one that becomes a WebSocket."""
        host = host_of(request.headers) or ""
        if refusal := self._access.refusal(request.path, request.headers):
            return refuse(refusal, host)
        if request.path == SOCKET_PATH and "Upgrade" in request.headers:
            return None
        return self._assets.answer(request.path, host)

    async def _attend(self, channel: ServerConnection) -> None:
        """Look after a viewer until it goes."""
        if len(self._viewers) >= MOST_VIEWERS:
            self._refused += 1
            await channel.close(_FULL, f"{MOST_VIEWERS} viewers are looking on already")
            return
        viewer = Viewer(channel)
        self._viewers.add(viewer)
        self._served += 1
        viewer.tell(self._hello)
        if self._heartbeat:
            viewer.beat(self._heartbeat)
        sending = asyncio.ensure_future(viewer.send())
        sending.add_done_callback(_look_at)
        try:
            self._say_readiness()
            async for text in channel:
                if not viewer.hear(text):
                    await channel.close(_STRANGE, "this is no message of the page's")
                    break
                self._say_readiness()
        except ConnectionClosed:
            pass
        finally:
            sending.cancel()
            self._viewers.discard(viewer)
            self._gone["sent"] += viewer.sent
            self._gone["missed"] += viewer.missed
            self._say_readiness()

    def _offer(self, frame: int, message: bytes) -> None:
        for viewer in self._viewers:
            viewer.offer(frame, message)
        self._say_readiness()

    def _pass_on(self, heartbeat: Heartbeat) -> None:
        self._heartbeat = heartbeat
        for viewer in self._viewers:
            viewer.beat(heartbeat)

    def _say_readiness(self) -> None:
        self._readiness(any(viewer.is_ready for viewer in self._viewers))

    def admit(self) -> bool:
        """Count a connection; False if there are too many."""
        self._connections += 1
        return self._connections <= _MOST_CONNECTIONS

    def dismiss(self) -> None:
        self._connections -= 1


class _Counted(ServerConnection):  # type: ignore[misc]
    """A connection that is ended at once where there are too many: each holds a descriptor and a task."""

    def __init__(self, owner: LiveServer, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._owner = owner

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if not self._owner.admit():
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.dismiss()
        super().connection_lost(exc)


def _look_at(task: asyncio.Task[None]) -> None:
    """Take a sender's end: a connection that closed under it is no error."""
    if not task.cancelled():
        task.exception()
