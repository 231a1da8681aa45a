"""Pictures and a film of the live page for the documentation: a good, a stale, a frozen and an absent camera.

    python benchmarks/live/pictures.py [--out docs] [--fps 10] [--film-seconds 10]

A camera on loopback shows the built-in drive and is made to fail; the page is looked at on a wide and a narrow screen,
light and dark. Needs Chromium and Playwright.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from drawn_camera import DrawnCamera
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from edgeseg.core.geometry import Size
from tests.helpers.live.page import CHROMIUM, NO_CHROMIUM, free_port, wait_for_line, wait_until

WIDE, NARROW = (1280, 860), (390, 1100)
FILM_SIZE, FILM_FPS = (1120, 700), 5
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 85]
_GAP = 12  # pixels between the pictures of a sheet
_SETTLE_S = 0.7  # after a change of the screen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--fps", type=float, default=10.0, help="of the camera; a busy machine wants less")
    parser.add_argument("--film-seconds", type=float, default=10.0)
    options = parser.parse_args()
    if CHROMIUM is None:
        sys.exit(NO_CHROMIUM)
    shots = {}
    with DrawnCamera(Size(540, 960), options.fps, pictures=30) as camera, sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]).new_page()
        with camera_run(camera, "--deadline-ms", "2000") as address:
            page.goto(address)
            shots["good"] = look(page, "good", "")
            camera.mode = "frozen"
            shots["frozen"] = look(page, "stale", "frozen")
            camera.mode = "silent"
            shots["absent"] = look(page, "camera away", "")
            camera.mode = "good"
            film(page, camera, options.out / "live.webp", options.film_seconds)
        with camera_run(camera, "--deadline-ms", "2") as address:
            page.goto(address)
            shots["stale"] = look(page, "stale", "deadline")
        write_sheets(shots, options.out)


@contextlib.contextmanager
def camera_run(camera: DrawnCamera, *more: str) -> Iterator[str]:
    """Run edgeseg-camera on a camera; give the page's address."""
    address = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "edgeseg.runtime", camera.uri, "--model", "runtime/bundled/scenes.onnx"]
    command += ["--threads", "1", "--backend", "onnxruntime-cpu", "--report", "road", "--output", address, *more]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        wait_for_line(run, "live page:")
        yield address
    finally:
        run.kill()
        run.wait()


def look(page: Page, word: str, reason: str) -> dict[str, NDArray[np.uint8]]:
    """Return a picture of each view, each taken while the page says `word`, for a `reason` that begins so."""
    shots = {}
    for shape, (width, height) in (("wide", WIDE), ("narrow", NARROW)):
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            time.sleep(_SETTLE_S)
            wait_for(page, word, reason)
            shots[f"{shape}-{scheme}"] = decoded(page.screenshot())
    return shots


def wait_for(page: Page, word: str, reason: str) -> None:
    """Wait until the page says so."""

    def says() -> bool:
        said = [str(page.text_content(f"#state-{part}")) for part in ("word", "reason")]
        return said[0] == word and said[1].startswith(reason)

    wait_until(says, 120)


def film(page: Page, camera: DrawnCamera, path: Path, seconds: float) -> None:
    """Film the page: opacity, patterns and the probe, then a camera that repeats itself and comes back."""
    width, height = FILM_SIZE
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme="dark")
    wait_for(page, "good", "")
    box = page.locator("#picture").bounding_box()
    assert box is not None

    def point(x: float, y: float) -> None:
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])

    acts: list[tuple[float, Callable[[], object]]] = [
        (0.15, partial(page.keyboard.press, "+")),
        (0.22, partial(page.keyboard.press, "p")),
        (0.32, partial(page.keyboard.press, "p")),
        (0.36, partial(point, 0.3, 0.4)),
        (0.43, partial(point, 0.5, 0.8)),
        (0.50, partial(page.mouse.move, 1, 1)),
        (0.55, partial(setattr, camera, "mode", "frozen")),
        (0.80, partial(setattr, camera, "mode", "good")),
    ]
    frames: list[Image.Image] = []
    start, count = time.monotonic(), round(seconds * FILM_FPS)
    for index in range(count):
        while acts and acts[0][0] * count <= index:
            acts.pop(0)[1]()
        frames.append(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
        time.sleep(max(0.0, start + (index + 1) / FILM_FPS - time.monotonic()))
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=1000 // FILM_FPS, loop=0, quality=60)


def write_sheets(shots: dict[str, dict[str, NDArray[np.uint8]]], folder: Path) -> None:
    """Write what the documentation shows: one page large, and sheets of all, wide and narrow."""
    cv2.imwrite(str(folder / "live.jpg"), shots["good"]["wide-dark"], _QUALITY)
    states = ("good", "stale", "frozen", "absent")
    for shape in ("wide", "narrow"):
        rows = [[shots[state][f"{shape}-{scheme}"] for state in states] for scheme in ("light", "dark")]
        if shape == "wide":
            rows = [[row[index] for row in rows] for index in range(len(states))]
        sheet = np.vstack([np.hstack([framed(shot) for shot in row]) for row in rows])
        scale = 1600 / sheet.shape[1]
        size = (1600, round(sheet.shape[0] * scale))
        cv2.imwrite(str(folder / f"live-{shape}.jpg"), cv2.resize(sheet, size, interpolation=cv2.INTER_AREA), _QUALITY)


def framed(shot: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.pad(shot, ((_GAP, _GAP), (_GAP, _GAP), (0, 0)), constant_values=128)


def decoded(png: bytes) -> NDArray[np.uint8]:
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture, np.uint8)


if __name__ == "__main__":
    main()
