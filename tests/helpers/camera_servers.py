"""Cameras on loopback whose faults a test can cause: MJPEG over HTTP, and RTSP by GStreamer."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from edgeseg.core.geometry import Size
from tests.helpers.colour_model import VIDEO_SIZE, numbered_frame

GSTREAMER_PYTHON = "/usr/bin/python3"
NO_RTSP_SERVER = (
    "no GStreamer RTSP server: apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi "
    "gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly"
)


def stated_part(data: bytes) -> bytes:
    return b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(data), data)


class MjpegCamera:
    """An HTTP server that sends numbered frames, no two alike, until `mode` says otherwise.

    Attributes:
        mode: `good`, `frozen`, `black`, `pause` (the connection stays, no frame comes), `silent` (new connections are
            accepted and never answered), `hang up`, `truncated` or `garbage`.
        size: of the frames.
        connections: how many were accepted.
        head: what it answers before its pictures.
        part: makes a picture's JPEG what is sent of it.
        refusal: what it answers to those who do not send `authorization`.
    """

    def __init__(self, fps: float = 30.0, size: Size = VIDEO_SIZE, authorization: str = "") -> None:
        self.mode, self.size, self.connections = "good", size, 0
        self._period_s = 1 / fps
        self.head = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
        self.part: Callable[[bytes], bytes] = stated_part
        self.refusal = b"HTTP/1.0 401 No\r\nWWW-Authenticate: Basic realm=camera\r\nContent-Length: 0\r\n\r\n"
        self._authorization = authorization
        self._listener: socket.socket | None = None
        self._open: list[socket.socket] = []
        self.port = 0

    def __enter__(self) -> MjpegCamera:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}/stream"

    def start(self) -> None:
        """Listen, again on the same port after `stop`."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def stop(self) -> None:
        """Go away as a camera that loses its power."""
        if self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.hang_up()

    def hang_up(self) -> None:
        """Close every connection."""
        while self._open:
            with contextlib.suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while self.mode == "silent":  # its answer would be late, so this connection never gets one
                if not connection.recv(65536):
                    return
            request = connection.recv(65536).decode()
            if self._authorization and self._authorization not in request:
                connection.sendall(self.refusal)
                return
            connection.sendall(self.head)
            if request.startswith("GET"):
                self._send_frames(connection)

    def _send_frames(self, connection: socket.socket) -> None:
        index = 0
        while self.mode != "hang up":
            if self.mode != "pause":
                connection.sendall(self._part(index))
            index += self.mode != "frozen"
            time.sleep(self._period_s)

    def _part(self, index: int) -> bytes:
        frame = np.zeros((*self.size, 3), np.uint8) if self.mode == "black" else numbered_frame(index, self.size)
        data = cv2.imencode(".jpg", frame)[1].tobytes()
        if self.mode == "truncated":
            data = data[: len(data) // 2]
        elif self.mode == "garbage":
            data = bytes(reversed(data))
        return self.part(data)


_RTSP_SERVER = """
import sys, gi
gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
port, login, bitrate = sys.argv[1:]
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1"); server.set_service(port)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch("( videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=30/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph264pay name=pay0 pt=96 )")
factory.set_shared(True)
if login:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    user, _, password = login.partition(":")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    factory.add_role_from_structure(Gst.Structure.new_from_string(
        "user, media.factory.access=true, media.factory.construct=true"))
    server.set_auth(auth)
server.get_mount_points().add_factory("/camera", factory)
assert server.attach(None)
print("ready", flush=True)
GLib.MainLoop().run()
"""


class RtspCamera:
    """GStreamer's RTSP server in a process of its own: H.264 of a moving ball, 320x240."""

    def __init__(self, login: str = "") -> None:
        self._login = login
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self._process: subprocess.Popen[str] | None = None

    @staticmethod
    def is_available() -> bool:
        check = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst, GstRtspServer; "
        check += "Gst.init(None); assert Gst.ElementFactory.find('x264enc') and Gst.ElementFactory.find('rtph264pay')"
        return (
            Path(GSTREAMER_PYTHON).exists()
            and not subprocess.run([GSTREAMER_PYTHON, "-c", check], stderr=-3).returncode
        )

    @property
    def uri(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/camera"

    def __enter__(self) -> RtspCamera:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        arguments = [str(self.port), self._login, ""]
        self._process = subprocess.Popen(
            [GSTREAMER_PYTHON, "-c", _RTSP_SERVER, *arguments], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def stop(self) -> None:
        """Go away as a camera that loses its power."""
        if self._process and self._process.stdout:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
            self._process = None
