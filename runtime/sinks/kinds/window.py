"""A window that shows the camera's pictures with the classes laid over them."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import tempfile
from typing import IO, cast

from edgeseg.core.errors import UsageError
from edgeseg.core.geometry import Size
from edgeseg.runtime.machine.child import start_child
from edgeseg.runtime.sinks.base import Delivery, Sink, SinkClosed, SinkContext
from edgeseg.runtime.sinks.drawing import Drawer
from edgeseg.runtime.sinks.window_process import SIZE

_OPEN_TIMEOUT_S = 20.0
_CLOSE_TIMEOUT_S = 1.0
_INSTEAD = "record a file, --output file://overlay.mkv, instead"


class Display(Sink):
    """Shows overlays in a window. Closing it, or the keys q and Esc, end the run.

    The window is a process of its own: a screen that hangs or goes away ends the window, never the camera.
    """

    def __init__(self, context: SinkContext) -> None:
        super().__init__(context.uri)
        self._context = context
        self._drawer: Drawer | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Open the window. Raises UsageError where there is no screen."""
        if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise UsageError(f"output {self.uri}: there is no screen (DISPLAY is not set); {_INSTEAD}")
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        self._process = start_child(
            "edgeseg.runtime.sinks.window_process",
            str(os.getpid()),
            f"edgeseg: {self._context.spec.name}",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            bufsize=0,
        )
        news = cast("IO[bytes]", self._process.stdout)
        readable, _, _ = select.select([news], [], [], _OPEN_TIMEOUT_S)
        if not readable or not news.read(1):
            self._process.kill()
            screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
            raise UsageError(f"output {self.uri}: no window opens on {screen} ({self._describe_exit()}); {_INSTEAD}")

    def write(self, delivery: Delivery) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        size = Size(*delivery.picture.shape[:2])
        if self._drawer is None or self._drawer.size != size:
            self._drawer = Drawer(self._context, size)
        drawn = self._drawer.draw(delivery)
        try:
            self._process.stdin.write(SIZE.pack(*size))
            rest = memoryview(drawn.data).cast("B")
            while rest:
                rest = rest[self._process.stdin.write(rest) :]
        except BrokenPipeError:
            if self._process.wait() == 0:
                raise SinkClosed from None
            raise UsageError(f"the window is gone ({self._describe_exit()})") from None

    def close(self) -> None:
        if self._process is None:
            return
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                cast("IO[bytes]", pipe).close()
        try:
            self._process.wait(_CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()
        self._process = None

    def _describe_exit(self) -> str:
        assert self._process is not None
        code = self._process.wait()
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        telling = [line for line in said if "could not" in line] or said[-1:]  # Qt says much after its reason
        return telling[0][:200] if telling else f"its process ended with code {code}"
