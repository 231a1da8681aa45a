"""Figures for Prometheus, on this machine's loopback address alone, for however slow or many clients."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Any

from prometheus_client import CollectorRegistry, MetricsHandler
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from edgeseg.core.errors import UsageError
from edgeseg.runtime.records import Ledger

_HOST = "127.0.0.1"
_BUCKETS_MS = (1, 2, 5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000, 2000, 5000)
_MAX_CLIENTS = 16
_LONGEST_S = 10.0  # of a connection: Prometheus itself gives up after ten seconds (scrape_timeout)


class BoundedServer(ThreadingHTTPServer):
    """Answers each client on a thread of its own, at most `_MAX_CLIENTS` of them, none for longer than `_LONGEST_S`.

    A client that asks slowly, or reads slowly, would else hold thread and descriptor for ever. When all places are
    taken the oldest connection is dropped for the new one, so that nobody can keep the others out.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = _MAX_CLIENTS

    def __init__(self, address: tuple[str, int], handler: type[MetricsHandler]) -> None:
        self._since: dict[socket.socket, float] = {}
        self._changing = threading.Lock()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changing:
            while len(self._since) >= _MAX_CLIENTS:
                self._drop(min(self._since, key=self._since.__getitem__))
            self._since[request] = time.monotonic()
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """Drop what is too old; called twice a second."""
        limit = time.monotonic() - _LONGEST_S
        with self._changing:
            for request in [each for each, since in self._since.items() if since < limit]:
                self._drop(request)

    def shutdown_request(self, request: Any) -> None:
        with self._changing:
            self._since.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that went away, or was dropped, is none of the user's errors."""

    def server_close(self) -> None:
        super().server_close()
        with self._changing:
            for request in list(self._since):
                self._drop(request)

    def _drop(self, request: socket.socket) -> None:
        """End a connection, at which its thread closes it."""
        del self._since[request]
        with contextlib.suppress(OSError):  # it has gone
            request.shutdown(socket.SHUT_RDWR)


class Metrics(Collector):
    """Serves `http://127.0.0.1:PORT/metrics` while its context lasts; a watcher of the run.

    Nothing is counted twice: each scrape reads the ledger of the run.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._ledger: Ledger | None = None
        self._seconds = 0.0

    def __enter__(self) -> Metrics:
        """Start to serve. Raises UsageError if the port cannot be had."""
        registry = CollectorRegistry()
        registry.register(self)
        try:
            self._server = BoundedServer((_HOST, self._port), MetricsHandler.factory(registry))
        except OSError as error:
            raise UsageError(f"metrics port {self._port}: cannot be had ({error.strerror}); choose another") from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="edgeseg-metrics", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __call__(self, ledger: Ledger, seconds: float) -> None:
        self._ledger, self._seconds = ledger, seconds

    def collect(self) -> Iterator[Any]:
        """Yield the metric families of one scrape."""
        if self._ledger is None:
            return
        ledger = self._ledger
        frames = CounterMetricFamily("edgeseg_frames", "Captured frames by what became of them.", labels=["status"])
        for status, count in ledger.frames.items():
            if status != "captured":  # it is their sum
                frames.add_metric([status], count)
        yield frames
        stale = CounterMetricFamily("edgeseg_stale_masks", "Stale masks by reason.", labels=["reason"])
        for reason, count in ledger.stale.items():
            stale.add_metric([reason], count)
        yield stale
        yield GaugeMetricFamily("edgeseg_running_seconds", "Since the stream began.", self._seconds)
        yield GaugeMetricFamily("edgeseg_camera_away", "1 while the camera is away.", ledger.source.away.under_way)
        interruptions = CounterMetricFamily("edgeseg_interruptions", "Of the camera, by cause.", labels=["cause"])
        for cause in ("stalls", "deaths", "losses"):
            interruptions.add_metric([cause], getattr(ledger.source, cause))
        yield interruptions
        stages = HistogramMetricFamily("edgeseg_latency_seconds", "Of processed frames, by stage.", labels=["stage"])
        for stage, histogram in ledger.latency.items():
            buckets = [(f"{ms / 1e3:g}", float(histogram.count_up_to(ms))) for ms in _BUCKETS_MS]
            stages.add_metric(
                [stage], [*buckets, ("+Inf", float(histogram.count))], histogram.mean * histogram.count / 1e3
            )
        yield stages
