"""The metrics' server beside clients that mean no good."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator

import pytest

from edgeseg.runtime.records import Ledger
from edgeseg.runtime.service.metrics import Metrics
from tests.runtime.service.test_systemd import free_port


@pytest.fixture
def port() -> Iterator[int]:
    port = free_port()
    with Metrics(port) as metrics:
        metrics(Ledger(), 1.0)
        yield port


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


def test_slow_clients_take_no_more_than_the_places_there_are_and_keep_nobody_out(port: int) -> None:
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    slow = []
    for _ in range(60):
        client = socket.create_connection(("127.0.0.1", port))
        client.send(b"GET /metr")  # and never the rest
        slow.append(client)
    assert "edgeseg_frames_total" in scrape(port)
    assert threading.active_count() - threads <= 18
    assert len(os.listdir("/proc/self/fd")) - descriptors - len(slow) <= 18
    for client in slow:
        client.close()


def test_a_client_that_drips_is_dropped_by_age(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeseg.runtime.service.metrics._LONGEST_S", 0.6)
    with socket.create_connection(("127.0.0.1", port)) as client:
        began = time.monotonic()
        with contextlib.suppress(OSError):  # reset or broken pipe
            while time.monotonic() < began + 8:
                client.send(b"G")
                time.sleep(0.1)
    assert time.monotonic() < began + 5
    assert "edgeseg_frames_total" in scrape(port)


def test_clients_that_go_away_are_no_news(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset at its end
            client.send(b"GET /metrics HTTP/1.0\r\n\r\n")
    assert "edgeseg_frames_total" in scrape(port)
    time.sleep(0.2)
    assert capfd.readouterr().err == ""
