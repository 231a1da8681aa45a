"""Figures for Prometheus, on this machine's loopback address alone."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from edgeseg.core.errors import UsageError
from edgeseg.runtime.records import Ledger

_HOST = "127.0.0.1"
_BUCKETS_MS = (1, 2, 5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000, 2000, 5000)


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
            self._server, self._thread = start_http_server(self._port, addr=_HOST, registry=registry)
        except OSError as error:
            raise UsageError(f"metrics port {self._port}: cannot be had ({error.strerror}); choose another") from error
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
