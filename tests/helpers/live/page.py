"""A live page with masks made by hand, and a viewer without a browser."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Size
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.records import FrameRecord
from edgeseg.runtime.road import RoadResult
from edgeseg.runtime.settings import SinkSettings
from edgeseg.runtime.sinks.base import Delivery, Playback
from edgeseg.runtime.sinks.fan_out import SinkFanOut
from edgeseg.runtime.sinks.open import open_sink
from edgeseg.runtime.states import Reason, Status
from tests.helpers.colour_model import VIDEO_SIZE, numbered_frame

CHROMIUM = next((path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).exists()), None)
NO_CHROMIUM = "no Chromium: apt-get install chromium"
FPS = 10.0


class LiveRun:
    """Puts masks out on a page, `FPS` a second once `feed` was called, with a heartbeat beside.

    Attributes:
        status, reason: of the masks that come next.
        is_silent: no mask and no heartbeat comes, as from a run that hangs.
        frame: the id of the next mask.
        released: ids whose pictures were given back.
    """

    def __init__(self, spec: ModelSpec, settings: SinkSettings | None = None, uri: str = "http://127.0.0.1:0") -> None:
        self.said: list[str] = []
        playback = Playback(FPS, keep_time=False)
        self.sink = open_sink(uri, spec, VIDEO_SIZE, playback, settings, self.said.append)
        self.outputs = SinkFanOut([self.sink])
        self.status, self.is_silent = "ok", False
        self.reason: str | None = None
        self.frame = 0
        self.released: list[int] = []
        self._size = spec.input_size
        self._over = threading.Event()
        self._feeding = threading.Thread(target=self._feed, daemon=True)

    def __enter__(self) -> LiveRun:
        self.outputs.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._feeding.is_alive():
            self._feeding.join()
        self.outputs.__exit__(kind, error, trace)

    @property
    def url(self) -> str:
        return self.said[0].removeprefix("live page: ")

    def feed(self) -> None:
        self._feeding.start()

    def put(self, **changes: Any) -> Delivery:
        """Deliver one mask."""
        made = delivery(self.frame, self._size, self.status, self.reason, **changes)
        self.frame += 1
        index = made.record.frame
        self.outputs.deliver(made, lambda: self.released.append(index))
        self.outputs.beat()
        return made

    def _feed(self) -> None:
        while not self._over.wait(1 / FPS):
            if not self.is_silent:
                self.put()


def delivery(
    index: int, size: Size, status: str = "ok", reason: str | None = None, road: RoadResult | None = None
) -> Delivery:
    """Return a mask of now, whose class map holds every class and pixels of none."""
    ms = {"wait": 1.0, "preprocess": 0.5, "inference": 8.0, "postprocess": 0.5, "frame": 9.0, "capture_to_mask": 10.0}
    why = Reason(reason) if reason else None
    record = FrameRecord(index, time.time() - 0.01, Status(status), why, ms=ms, road=road)
    return Delivery(record, time.monotonic() - 0.01, numbered_frame(index), class_map(index, size))


def class_map(index: int, size: Size) -> NDArray[np.uint8]:
    rows, columns = np.indices(size)
    ids = ((columns + rows + index) // 8 % 4).astype(np.uint8)
    ids[ids == 3] = 255
    return ids


class PlainViewer:
    """Looks on without drawing; acknowledges what it is told to."""

    def __init__(self, url: str, **headers: str) -> None:
        host = url.removeprefix("http://").rstrip("/")
        self._held = contextlib.ExitStack()
        origin = headers.pop("Origin", f"http://{host}")
        from websockets.sync.client import connect

        opened = connect(f"ws://{host}/live", origin=origin, additional_headers=headers)
        self.channel = self._held.enter_context(opened)

    def __enter__(self) -> PlainViewer:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def take(self, kind: str, timeout_s: float = 10.0) -> dict[str, Any]:
        """Return the next message of a type, acknowledging the texts before it as a page does."""
        end = time.monotonic() + timeout_s
        while True:
            message = self.channel.recv(max(0.0, end - time.monotonic()))
            found = header(message) if isinstance(message, bytes) else json.loads(message)
            if found["type"] != "frame":
                self.acknowledge(found)
            if found["type"] == kind:
                return found

    def acknowledge(self, message: dict[str, Any]) -> None:
        now = time.monotonic() * 1e3
        said = {"sent": message["sent"], "received": now, "done": now, "frame": message.get("frame")}
        self.channel.send(json.dumps(said))


def header(message: bytes) -> dict[str, Any]:
    """Return the header of a binary message."""
    (length,) = struct.unpack_from("<I", message)
    found: dict[str, Any] = json.loads(message[4 : 4 + length])
    return found


def wait_until(holds: Callable[[], Any], timeout_s: float = 20.0) -> Any:
    """Return what `holds` gives once it is true."""
    end = time.monotonic() + timeout_s
    while not (found := holds()):
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)
    return found


def wait_for_line(process: subprocess.Popen[str], text: str) -> str:
    """Return the first line on a process's standard error that holds a text."""
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return line
    raise AssertionError("the process ended before it said so")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
