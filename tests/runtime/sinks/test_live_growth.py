"""Minutes of the live page, after which neither the page nor the server holds more than before (make test-live)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers.live.page import free_port, wait_for_line, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

MINUTES = float(os.environ.get("EDGESEG_LIVE_MINUTES", "10"))
_SAMPLES = 20


def resident_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])


def of_page(browser: Browser, page: Page) -> dict[str, float]:
    """What a page holds after a collection of its garbage; pictures lie outside of the heap of its scripts."""
    channel = page.context.new_cdp_session(page)
    channel.send("HeapProfiler.collectGarbage")
    channel.send("Performance.enable")
    metrics = {each["name"]: each["value"] for each in channel.send("Performance.getMetrics")["metrics"]}
    channel.detach()
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    renderers = [each["id"] for each in processes if each["type"] == "renderer"]
    return {
        "heap": metrics["JSHeapUsedSize"] / 2**20,
        "nodes": metrics["Nodes"],
        "listeners": metrics["JSEventListeners"],
        "renderer": sum(map(resident_kib, renderers)) / 2**10,
    }


def of_server(pid: int) -> dict[str, float]:
    return {
        "server": resident_kib(pid) / 2**10,
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": len(os.listdir(f"/proc/{pid}/task")),
    }


@pytest.mark.faults
def test_minutes_of_looking_on_grow_neither_page_nor_server(browser: Browser, open_page: Callable[[str], Page]) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    source = "scenes://?size=640x360&fps=10"
    command = [sys.executable, "-m", "edgeseg.runtime", source, "--loop", "--source-rate", "10", "--report", "road"]
    run = subprocess.Popen([*command, "--threads", "1", "--output", address], stderr=subprocess.PIPE, text=True)
    try:
        wait_for_line(run, "live page:")
        page = open_page(address)
        word = "document.getElementById('state-word').textContent"
        wait_until(lambda: page.evaluate(word) == "good", 60)
        samples = []
        for _ in range(_SAMPLES):
            time.sleep(MINUTES * 60 / _SAMPLES)
            samples.append({**of_page(browser, page), **of_server(run.pid)})
            page.reload()  # viewers come and go
            wait_until(lambda: page.evaluate(word) == "good", 60)
        middle, late = samples[_SAMPLES // 2], samples[-1]
        print(f"half-way {middle}; at the end {late}")
        for name, allowed in (("nodes", 50), ("listeners", 5), ("descriptors", 4), ("threads", 0)):
            assert late[name] - middle[name] <= allowed, (name, samples)
        for name, allowed_mib in (("heap", 3), ("renderer", 25), ("server", 8)):
            assert late[name] - middle[name] <= allowed_mib, (name, samples)
    finally:
        run.kill()
        run.wait()
