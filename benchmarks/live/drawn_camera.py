"""A camera on loopback that shows the built-in drive, with a clock in it if that is wanted."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Size
from edgeseg.scenes import Drive

CLOCK_BITS = 40  # milliseconds of a day, and more
CLOCK_BLOCK = 16  # pixels of a bit: JPEG, twice, must not blur it
_ROW = 20  # bits side by side
_BOUNDARY = b"--frame"


class DrawnCamera:
    """Serves MJPEG over HTTP to whoever connects. A context manager.

    Attributes:
        mode: `good`, `frozen`, or `silent`: connections stay, and no picture comes.
    """

    def __init__(self, size: Size, fps: float, pictures: int, has_clock: bool = False) -> None:
        drive = Drive(3, size, fps=fps)
        self._pictures = [drive.frame(index)[0] for index in range(pictures)]
        self._period_s, self._has_clock = 1 / fps, has_clock
        self.mode = "good"

    def __enter__(self) -> DrawnCamera:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"http://127.0.0.1:{self._listener.getsockname()[1]}/drive"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.recv(65536)
            kind = b"multipart/x-mixed-replace; boundary=frame"
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: " + kind + b"\r\n\r\n")
            index, due = 0, time.monotonic()
            while True:
                if self.mode != "silent":
                    connection.sendall(self._part(index))
                index += self.mode == "good"
                due = max(due + self._period_s, time.monotonic())  # one that is late makes up for nothing
                time.sleep(max(0.0, due - time.monotonic()))

    def _part(self, index: int) -> bytes:
        count = len(self._pictures)
        turn = index % (2 * count - 2) if count > 1 else 0  # forwards and back: no jump that a watch would see
        picture = self._pictures[turn if turn < count else 2 * count - 2 - turn]
        if self._has_clock:
            picture = picture.copy()
            draw_clock(picture, time.time())
        data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
        return _BOUNDARY + b"\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(data), data)


def draw_clock(picture: NDArray[np.uint8], unix_s: float) -> None:
    """Draw a time, in ms, as white and black blocks into the upper left corner: the highest bit first."""
    value = int(unix_s * 1e3) % 2**CLOCK_BITS
    for place in range(CLOCK_BITS):
        row, column = divmod(place, _ROW)
        block = np.s_[row * CLOCK_BLOCK : (row + 1) * CLOCK_BLOCK, column * CLOCK_BLOCK : (column + 1) * CLOCK_BLOCK]
        picture[block] = 255 * (value >> (CLOCK_BITS - 1 - place) & 1)


READ_CLOCK = f"""() => {{
  const context = document.getElementById("picture").getContext("2d");
  const {{ data, width }} = context.getImageData(0, 0, {_ROW * CLOCK_BLOCK}, {CLOCK_BITS // _ROW * CLOCK_BLOCK});
  let value = 0;
  for (let place = 0; place < {CLOCK_BITS}; place++) {{
    const x = (place % {_ROW} + 0.5) * {CLOCK_BLOCK}, y = (Math.floor(place / {_ROW}) + 0.5) * {CLOCK_BLOCK};
    value = value * 2 + (data[4 * (y * width + x)] > 127 ? 1 : 0);
  }}
  return value;
}}"""
"""JavaScript that reads the time back from the page's canvas; the picture must not be scaled."""
