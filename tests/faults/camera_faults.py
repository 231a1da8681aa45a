"""Cameras that lie, and one that is hurt again and again while it runs."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgeseg.core.errors import EdgesegError
from edgeseg.core.geometry import Size
from edgeseg.runtime.capture.capture import Capture
from edgeseg.runtime.settings import CaptureSettings
from edgeseg.runtime.sources.addresses import parse_source
from tests.faults.lying_cameras import HTTP_LIES, RTSP_LIES, Lie, LyingCamera
from tests.faults.verdict import CODE, HUNG, LEAK, SECRET, Finding, Row, judge_error, judge_output
from tests.helpers.camera_servers import MjpegCamera
from tests.helpers.colour_model import VIDEO_SIZE

SECRET_WORD = "Rm4tJx6D"
_CODES = frozenset({3})
_LONGEST_S = 45.0  # of a camera that lies; RTSP is tried twice for five seconds
_RECOVERY_S = 30.0  # on a busy machine; the suite measures how soon it is
NEVER = threading.Event()


@dataclass(frozen=True)
class CameraLie:
    """A lie with a seed."""

    name: str
    lie: Lie
    seed: int

    def __str__(self) -> str:
        return f"{self.name}, seed {self.seed}"


def lies(seeds: int) -> Iterator[CameraLie]:
    for seed in range(seeds):
        for name, lie in {**HTTP_LIES, **(RTSP_LIES if seed == 0 else {})}.items():
            yield CameraLie(name, lie, seed)


def run_lie(case: CameraLie) -> list[Finding]:
    """Open a camera that lies; return what must not be."""
    scheme = "rtsp" if case.name.startswith("RTSP") else "http"
    findings: list[Finding] = []
    said: list[str] = []
    began = time.monotonic()
    with LyingCamera(case.lie, str(case)) as camera:
        source = parse_source(f"{scheme}://me:{SECRET_WORD}@127.0.0.1:{camera.port}/stream")
        with Capture(source, settings=CaptureSettings(give_up_s=1.0, stall_s=1.0)) as capture:
            findings += _shown_to_the_system(str(case), capture)
            try:
                capture.wait_until_open(NEVER)
                capture.start()
                _take_frames(capture, 0.5)
            except EdgesegError as error:
                said.append(str(error))
                findings += judge_error(str(case), error, _CODES, SECRET_WORD)
            said += capture.take_news()
            pid = capture.pid
    if time.monotonic() - began > _LONGEST_S:
        findings.append(Finding(HUNG, str(case), f"{time.monotonic() - began:.0f} s"))
    if pid and Path(f"/proc/{pid}").exists():
        findings.append(Finding(LEAK, str(case), "the capture process"))
    for text in said:
        findings += judge_output(str(case), text, SECRET_WORD)
        if "\n" in text or "\x1b" in text:
            findings.append(Finding(CODE, str(case), f"more than one clean line: {text[:150]!r}"))
    return findings


def _shown_to_the_system(name: str, capture: Capture) -> Iterator[Finding]:
    end = time.monotonic() + 5
    while (pid := capture.pid) is None and time.monotonic() < end:
        time.sleep(0.01)
    for file in ("cmdline", "environ"):
        if pid and SECRET_WORD.encode() in Path(f"/proc/{pid}/{file}").read_bytes():
            yield Finding(SECRET, name, f"{file} of the capture process")


def _take_frames(capture: Capture, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not capture.is_over:
        frame = capture.next_frame(NEVER, end)
        if frame is not None:
            frame.picture.max()
            capture.release(frame)


class HurtCamera:
    """A camera at work, and the ways to hurt it."""

    def __init__(self, camera: MjpegCamera, capture: Capture) -> None:
        self._camera, self._capture = camera, capture
        self.seen = 0
        self.hurts: tuple[Callable[[], object], ...] = (
            lambda: self._signal(signal.SIGKILL),
            camera.hang_up,
            self._damage,
            lambda: self._signal(signal.SIGSEGV),
            self._resize,
            lambda: self._signal(signal.SIGSTOP),
            self._restart,
        )

    def _signal(self, number: int) -> None:
        if (pid := self._capture.pid) is not None:
            os.kill(pid, number)

    def _damage(self) -> None:
        self._camera.mode = "garbage"
        self.take(0.3)
        self._camera.mode = "good"

    def _resize(self) -> None:
        self._camera.size = Size(48, 200) if self._camera.size == VIDEO_SIZE else VIDEO_SIZE

    def _restart(self) -> None:
        self._camera.stop()
        self.take(0.3)
        self._camera.start()

    def take(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.next_after(0.0, end)

    def next_after(self, moment: float, end: float) -> bool:
        """Take a frame; whether it is a good one, captured after a moment."""
        frame = self._capture.next_frame(NEVER, end)
        if frame is None:
            return False
        self.seen += 1 + len(frame.skipped)
        is_good = frame.captured_monotonic >= moment and frame.reason is None
        self._capture.release(frame)
        return is_good


def hurt_a_camera(count: int) -> Row:
    """Hurt one camera `count` times; it must come back each time, and nothing may pile up."""
    row = Row("a camera that is hurt while it runs")
    with MjpegCamera() as camera:
        settings = CaptureSettings(stall_s=1.0)
        with Capture(parse_source(camera.uri), settings=settings) as capture:
            capture.wait_until_open(NEVER)
            capture.start()
            hurt = HurtCamera(camera, capture)
            before: tuple[int, int] | None = None
            for index in range(count):
                hurt.hurts[index % len(hurt.hurts)]()
                moment, end = time.monotonic() + 0.2, time.monotonic() + _RECOVERY_S
                while not hurt.next_after(moment, end):
                    if time.monotonic() >= end:
                        row.findings.append(Finding(HUNG, f"hurt {index}", f"not back after {_RECOVERY_S:g} s"))
                        break
                hurt.take(0.2)
                row.thrown += 1
                if index == len(hurt.hurts):
                    before = _held()
            row.findings += [each for text in capture.take_news() for each in judge_output("a hurt camera", text)]
            row.findings += _piled_up(before, camera)
            captured, left = capture.finish()
            if hurt.seen + len(left) != captured:
                row.findings.append(
                    Finding(CODE, "a hurt camera", f"{captured} frames, {hurt.seen} + {len(left)} seen")
                )
    return row


def _held() -> tuple[int, int]:
    return len(os.listdir("/proc/self/fd")), threading.active_count()


def _piled_up(before: tuple[int, int] | None, camera: MjpegCamera) -> Iterator[Finding]:
    end = time.monotonic() + 5
    while before and (after := _held()) > (before[0] + 2, before[1] + 2) and time.monotonic() < end:
        time.sleep(0.1)
    if before and (after[0] > before[0] + 2 or after[1] > before[1] + 2):
        yield Finding(LEAK, "a hurt camera", f"descriptors, threads: {before} before, {after} after")
