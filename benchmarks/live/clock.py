"""How old is what the live page shows, and does it say so? A clock drawn into the camera's pictures tells.

    python benchmarks/live/clock.py [--seconds 30] [--fps 10] [--throttle-kbit 2000]

The camera draws the time of sending into each picture; the page's canvas is read back as soon as a picture is drawn,
and compared with the age that the page states at that moment. Needs Chromium and Playwright.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

import numpy as np
from drawn_camera import CLOCK_BITS, READ_CLOCK, DrawnCamera
from playwright.sync_api import sync_playwright

from edgeseg.core.geometry import Size
from tests.helpers.live.page import CHROMIUM, NO_CHROMIUM, free_port, wait_for_line, wait_until

_OBSERVE = f"""() => {{
  const read = {READ_CLOCK};
  window.samples = [];
  new MutationObserver(() => {{
    const now = performance.timeOrigin + performance.now();
    const stated = Number(document.getElementById("age").dataset.ms);
    window.samples.push([(now % 2 ** {CLOCK_BITS}) - read(), stated]);
  }}).observe(document.documentElement, {{ attributeFilter: ["data-drawn"] }});
}}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--fps", type=float, default=10.0)
    parser.add_argument("--throttle-kbit", type=float, default=None, help="of the viewer's network, by Chromium")
    options = parser.parse_args()
    if CHROMIUM is None:
        sys.exit(NO_CHROMIUM)
    samples = measure(options.seconds, options.fps, options.throttle_kbit)
    drawn, stated = samples.T
    off = np.abs(stated - drawn)
    print(f"{len(samples)} pictures drawn" + (f" at {options.throttle_kbit:g} kbit/s" if options.throttle_kbit else ""))
    for name, values in (("age by the clock", drawn), ("age stated", stated), ("apart", off)):
        print(f"{name:<18} p50 {np.percentile(values, 50):7.1f} ms   p95 {np.percentile(values, 95):7.1f} ms")


def measure(seconds: float, fps: float, throttle_kbit: float | None) -> np.ndarray:
    """Return (n, 2): the age of each picture drawn, in ms, by the clock in it and as the page states it."""
    address = f"http://127.0.0.1:{free_port()}"
    with DrawnCamera(Size(360, 640), fps, pictures=40, has_clock=True) as camera, sync_playwright() as playwright:
        command = [sys.executable, "-m", "edgeseg.runtime", camera.uri, "--model", "runtime/bundled/scenes.onnx"]
        command += ["--threads", "1", "--backend", "onnxruntime-cpu", "--output", address, "--no-plausibility"]
        run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            wait_for_line(run, "live page:")
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 900, "height": 700})
            page.goto(address)
            wait_until(lambda: page.evaluate("Number(document.documentElement.dataset.drawn ?? 0)") > 10, 60)
            if throttle_kbit:
                channel = page.context.new_cdp_session(page)
                channel.send("Network.enable")
                rate = throttle_kbit * 1e3 / 8
                limits = {"offline": False, "latency": 20, "downloadThroughput": rate, "uploadThroughput": rate}
                channel.send("Network.emulateNetworkConditions", limits)
            page.evaluate(_OBSERVE)
            time.sleep(seconds)
            return np.array(page.evaluate("window.samples"))
        finally:
            run.kill()
            run.wait()


if __name__ == "__main__":
    main()
