"""The live page in a real browser: what is seen is what the model said, and never older than it says."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.road import FREE_TO_THE_TOP, RoadResult
from tests.helpers.camera_servers import MjpegCamera
from tests.helpers.live.page import LiveRun, class_map, free_port, wait_for_line, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

READ_CLASSES = """() => {
  const canvas = document.getElementById("classes");
  const box = [0, 0, canvas.width, canvas.height];
  return [canvas.height, canvas.width, [...canvas.getContext("2d").getImageData(...box).data]];
}"""
AGE_AND_STATE = """() => [Number(document.getElementById("age").dataset.ms),
  document.getElementById("stage").dataset.level, document.getElementById("state").innerText]"""


def level(page: Page) -> str:
    return str(page.evaluate("document.getElementById('stage').dataset.level"))


def word(page: Page) -> str:
    return str(page.evaluate("document.getElementById('state-word').textContent"))


def overlay(page: Page) -> NDArray[np.uint8]:
    height, width, values = page.evaluate(READ_CLASSES)
    return np.array(values, np.uint8).reshape(height, width, 4)


def drawn_frame(page: Page, run: LiveRun, **changes: Any) -> int:
    """Put one mask out and wait until the page has drawn it; return its id."""
    wait_until(lambda: run.sink.needs_picture)
    index = run.put(**changes).record.frame
    wait_until(lambda: page.evaluate("document.documentElement.dataset.frame") == str(index))
    return index


def test_the_overlay_is_the_class_map_to_the_pixel(colour_spec: ModelSpec, open_page: Callable[[str], Page]) -> None:
    with LiveRun(colour_spec) as run:
        page = open_page(run.url)
        for _ in range(2):
            ids = class_map(drawn_frame(page, run), colour_spec.input_size)
            seen = overlay(page)
            for index, colour in enumerate(colour_spec.classes.colours):
                assert (seen[ids == index] == (*colour, 255)).all()
            unknown = seen[ids == 255]
            assert 0 < np.count_nonzero(unknown[:, 3]) < len(unknown)  # hatched: neither a class nor nothing
        page.keyboard.press("2")
        seen = overlay(page)
        assert not seen[ids == 1].any()
        assert (seen[ids == 0] == (*colour_spec.classes.colours[0], 255)).all()
        page.keyboard.press("p")
        assert len(np.unique(overlay(page)[ids == 2][:, 3])) > 1  # a pattern beside the colour


def test_the_probe_tells_the_class_by_mouse_and_by_keyboard(
    colour_spec: ModelSpec, open_page: Callable[[str], Page]
) -> None:
    with LiveRun(colour_spec) as run:
        page = open_page(run.url)
        ids = class_map(drawn_frame(page, run), colour_spec.input_size)
        box = page.locator("#picture").bounding_box()
        assert box is not None
        names = (*colour_spec.classes.names, "unknown (255)")
        for column, row in ((3, 2), (12, 2), (20, 20), (28, 2)):
            page.mouse.move(box["x"] + (column + 0.5) / 64 * box["width"], box["y"] + (row + 0.5) / 32 * box["height"])
            told = page.inner_text("#tip")
            assert told == f"{names[min(ids[row, column], 3)]} · column {column}, row {row}"
        page.mouse.move(1, 1)
        assert page.is_hidden("#tip")
        page.focus("#stage")
        page.keyboard.press("ArrowRight")
        assert "column 32" in page.inner_text("#tip")


def test_the_boundary_is_drawn_where_the_road_ends(colour_spec: ModelSpec, open_page: Callable[[str], Page]) -> None:
    rows = np.full(64, 15, np.int16)
    rows[32:] = FREE_TO_THE_TOP
    road = RoadResult({"blue": 1.0, "green": 0.0, "red": 0.0, "ignore": 0.0}, rows, None)
    with LiveRun(colour_spec) as run:
        page = open_page(run.url)
        drawn_frame(page, run, road=road)
        left, right = page.evaluate("""() => {
          const canvas = document.getElementById("lines"), context = canvas.getContext("2d");
          return [0.25, 0.75].map((x) => {
            const data = context.getImageData(Math.round(x * canvas.width), 0, 1, canvas.height).data;
            const marked = [...Array(canvas.height).keys()].filter((y) => data[4 * y + 3] > 128);
            return marked.reduce((sum, each) => sum + each, 0) / marked.length / canvas.height;
          });
        }""")
        assert left == pytest.approx(0.5, abs=0.02)  # the lower edge of row 15 of 32
        assert right < 0.05
        assert "100.0 %" in page.inner_text("#class-list li")


def test_a_stale_mask_is_red_with_its_own_frame_and_silence_turns_red_by_itself(
    colour_spec: ModelSpec, open_page: Callable[[str], Page]
) -> None:
    with LiveRun(colour_spec) as run:
        page = open_page(run.url)
        drawn_frame(page, run)
        assert (level(page), word(page)) == ("good", "good")
        run.status, run.reason = "stale", "frozen"
        drawn_frame(page, run)
        assert (level(page), word(page)) == ("bad", "stale")
        assert "one picture" in page.inner_text("#stamp")
        run.status, run.reason = "ok", None
        drawn_frame(page, run)
        assert level(page) == "good"
        wait_until(lambda: level(page) == "bad")  # nothing is sent any more, no heartbeat either
        assert word(page) == "old"
        wait_until(lambda: word(page) == "silent")
        age, _, _ = page.evaluate(AGE_AND_STATE)
        assert age > 1400


def test_one_throttled_viewer_makes_no_other_slower_and_gets_no_queue_of_old_pictures(
    colour_spec: ModelSpec, open_page: Callable[[str], Page]
) -> None:
    with LiveRun(colour_spec) as run:
        slow, quick = open_page(run.url), open_page(run.url)
        run.feed()
        for page in (slow, quick):
            page.wait_for_selector("#stage[data-level=good]")
        both = drawn_in(2, slow, quick)
        channel = slow.context.new_cdp_session(slow)
        channel.send("Network.enable")
        throttled = {"offline": False, "latency": 150, "downloadThroughput": 5000, "uploadThroughput": 5000}
        channel.send("Network.emulateNetworkConditions", throttled)
        drawn = drawn_in(4, slow, quick)
        assert drawn[1] > 0.8 * 2 * both[1]
        assert 0 < drawn[0] < drawn[1] / 2
        age, _, _ = slow.evaluate(AGE_AND_STATE)
        assert age < 4000  # of two pictures and a round trip; TCP's buffers hold hundreds of such pictures


def drawn_in(seconds: float, *pages: Page) -> list[int]:
    count = "Number(document.documentElement.dataset.drawn)"
    before = [page.evaluate(count) for page in pages]
    time.sleep(seconds)
    return [page.evaluate(count) - first for page, first in zip(pages, before, strict=True)]


def test_a_paused_page_takes_no_pictures_and_says_so(colour_spec: ModelSpec, open_page: Callable[[str], Page]) -> None:
    with LiveRun(colour_spec) as run:
        page = open_page(run.url)
        run.feed()
        wait_until(lambda: level(page) == "good")
        page.keyboard.press("Space")
        wait_until(lambda: not run.sink.needs_picture)
        assert word(page) == "paused"
        page.keyboard.press("Space")
        wait_until(lambda: word(page) == "good")


def test_the_page_says_that_the_camera_is_away_and_goes_on_when_it_is_back(
    write_model: Callable[..., Path], open_page: Callable[[str], Page]
) -> None:
    """The whole command, with a camera that falls silent, and the page across a restart of all of it."""
    with MjpegCamera() as camera:
        address = f"http://127.0.0.1:{free_port()}"
        command = [sys.executable, "-m", "edgeseg.runtime", f"http://127.0.0.1:{camera.port}/", "--threads", "1"]
        command += ["--model", str(write_model()), "--backend", "onnxruntime-cpu", "--output", address]
        run = subprocess.Popen([*command, "--stall-seconds", "0.6"], stderr=subprocess.PIPE, text=True)
        try:
            wait_for_line(run, "live page:")
            page = open_page(address)
            wait_until(lambda: word(page) == "good")
            camera.mode = "pause"
            wait_until(lambda: level(page) == "bad", 5)
            wait_until(lambda: word(page) == "camera away")
            camera.mode = "good"
            wait_until(lambda: word(page) == "good", 30)
            assert "1, 0, 0" in page.inner_text("#source")
            run.send_signal(signal.SIGTERM)
            wait_until(lambda: word(page) == "no connection")
            assert run.wait(20) == 0
            run = subprocess.Popen(command, stderr=subprocess.DEVNULL, text=True)
            wait_until(lambda: word(page) == "good", 30)
        finally:
            run.kill()
            run.wait()
