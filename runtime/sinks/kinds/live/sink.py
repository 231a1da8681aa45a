"""The live page as a sink."""

from __future__ import annotations

import ssl
from pathlib import Path

from edgeseg.core.errors import UsageError
from edgeseg.runtime.sinks.base import NO_PICTURE, Delivery, Heartbeat, Sink, SinkContext
from edgeseg.runtime.sinks.kinds.live.access import Access
from edgeseg.runtime.sinks.kinds.live.message import Packer, hello
from edgeseg.runtime.sinks.kinds.live.server import LiveServer
from edgeseg.runtime.sinks.web_address import check_web, parse_web_address, read_token


class LivePage(Sink):
    """Shows the run in browsers: at most eight, each as quickly as it can draw.

    A picture is encoded once for all viewers, and only while one of them takes it: without viewers the page costs
    nothing. A viewer that is slow gets fewer pictures, never older ones.
    """

    def __init__(self, context: SinkContext) -> None:
        super().__init__(context.uri)
        check_web([context.uri], context.settings)
        self.needs_picture = False
        self._address = parse_web_address(context.uri)
        self._notice = context.notice
        self._packer = Packer(context)
        settings = context.settings
        token = read_token(settings.live_token) if settings.live_token else None
        access = Access(token, context.uri, self._address.is_tls)
        tls = _tls(settings.live_tls) if settings.live_tls else None
        self._server = LiveServer(self._address, access, hello(context), self._set_readiness, tls)

    def start(self) -> None:
        """Listen, so that the page is there before the first mask. Raises UsageError."""
        try:
            self._server.start()
        except OSError as error:
            raise UsageError(f"output {self.uri}: cannot listen there ({error}); choose another port") from error
        self._notice(f"live page: {self._address.url(self._server.port)}")

    def write(self, delivery: Delivery) -> None:
        if delivery.picture is not NO_PICTURE:
            self._server.publish(delivery.record.frame, self._packer.pack(delivery))

    def beat(self, heartbeat: Heartbeat) -> None:
        self._server.beat(heartbeat)

    def close(self) -> None:
        self._server.close()

    def counts(self) -> dict[str, int]:
        return self._server.counts()

    def _set_readiness(self, is_ready: bool) -> None:
        self.needs_picture = is_ready


def _tls(path: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(path, password="")  # without one a locked key would ask the terminal
    except (OSError, ValueError) as error:  # SSLError is an OSError
        reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or error
        raise UsageError(
            f"--live-tls {path}: cannot be used ({reason}); expected a PEM file of a certificate and its key"
        ) from error
    return context
