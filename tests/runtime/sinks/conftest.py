"""A real browser for the live page's tests: Debian's Chromium, by Playwright."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.helpers.live.page import CHROMIUM, NO_CHROMIUM

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page


@pytest.fixture(scope="module")  # no longer: while Playwright runs, no test of its thread can have an event loop
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        if os.environ.get("EDGESEG_NEEDS_BROWSER"):
            pytest.fail(NO_CHROMIUM)
        pytest.skip(NO_CHROMIUM)
    with pytest.importorskip("playwright.sync_api").sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[[str], Page]]:
    """Return a function that opens a page of its own context and fails the test for whatever goes wrong on it."""
    said: list[str] = []
    contexts = []

    def opened(url: str) -> Page:
        contexts.append(browser.new_context(viewport={"width": 800, "height": 600}))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text) if is_fault(message) else None)
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert said == []


def is_fault(message: ConsoleMessage) -> bool:
    return message.type == "error" and "ERR_CONNECTION_REFUSED" not in message.text  # it tries to connect again
