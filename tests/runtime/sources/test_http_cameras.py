"""What cameras send over HTTP besides what RFC 2046 asks of them."""

import io
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from edgeseg.core.errors import SourceError
from edgeseg.runtime.capture.capture import Capture
from edgeseg.runtime.settings import CaptureSettings
from edgeseg.runtime.sources.addresses import parse_source
from edgeseg.runtime.sources.kinds.mjpeg import MjpegReader
from edgeseg.runtime.sources.multipart import Multipart
from tests.faults.lying_cameras import LyingCamera, says
from tests.helpers.camera_servers import MjpegCamera
from tests.helpers.colour_model import numbered_frame
from tests.helpers.damage import by_opencv, by_pillow, street

GO_ON = threading.Event()  # never set
PICTURES = [by_opencv(".jpg", street(80, 60, seed)) for seed in range(4)]
BARE = b"--frame\r\nContent-Type: image/jpeg\r\n\r\n"
HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace%s\r\n\r\n"

Part = Callable[[bytes], bytes]
FORMS: dict[str, Part] = {
    "a stated length": lambda data: b"--frame\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(data), data),
    "no length": lambda data: BARE + data + b"\r\n",
    "the boundary at once": lambda data: BARE + data,
    "padding": lambda data: BARE + data + bytes(700) + b"\r\n",
    "padding without a line's end": lambda data: BARE + data + b"\xff" * 33,
    "bare line feeds": lambda data: b"--frame\nContent-Type: image/jpeg\n\n" + data + b"\n",
}


def parts_of(stream: bytes, boundary: str | None, at_once: int) -> list[bytes]:
    source = io.BytesIO(stream)
    multipart = Multipart(lambda most: source.read(min(most, at_once)), boundary)
    parts = []
    while part := multipart.next_part():
        parts.append(part[1])
    return parts


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("boundary", ["frame", '"--frame"', "another", None])
@pytest.mark.parametrize("at_once", [7, 65536])
def test_pictures_are_taken_off_whole(form: str, boundary: str | None, at_once: int) -> None:
    stream = b"".join(map(FORMS[form], PICTURES)) + b"--frame--\r\n"
    assert parts_of(stream, boundary, at_once) == PICTURES


def test_a_picture_of_unstated_length_is_given_before_the_next_one_comes() -> None:
    """Else each mask would be a frame older."""
    arrived = [BARE + PICTURES[0], b""]
    multipart = Multipart(lambda most: arrived.pop(0), "frame")
    part = multipart.next_part()
    assert part is not None
    assert part[1] == PICTURES[0]
    assert arrived == [b""]


def test_a_preview_within_a_picture_is_not_its_end() -> None:
    preview = by_opencv(".jpg", street(16, 16))
    picture = by_pillow("JPEG", street(80, 60), exif=b"Exif\0\0" + preview)
    assert parts_of(BARE + picture + BARE + PICTURES[1], "frame", 100) == [picture, PICTURES[1]]


def test_a_picture_without_its_end_costs_only_itself() -> None:
    stream = BARE + PICTURES[0][:-900] + b"\r\n" + b"".join(BARE + each + b"\r\n" for each in PICTURES[1:])
    assert parts_of(stream, "frame", 500)[1:] == PICTURES[1:]


def test_an_answer_without_any_boundary_is_told() -> None:
    with pytest.raises(ValueError, match="no boundary in its first"):
        parts_of(bytes(100_000), None, 4096)


@pytest.mark.parametrize(
    ("head", "form"), [("; boundary=frame", "the boundary at once"), ("; boundary=frame", "padding"), ("", "no length")]
)
def test_frames_come_from_such_a_camera(head: str, form: str) -> None:
    with MjpegCamera() as camera:
        camera.head, camera.part = HEAD % head.encode(), FORMS[form]
        reader = MjpegReader(parse_source(camera.uri))
        for index in range(3):
            frame = reader.read(None)
            assert frame is not None
            assert np.abs(frame.astype(int) - numbered_frame(index)).mean() < 5
        reader.close()


def test_a_camera_of_damaged_pictures_alone_is_said_to_be_one() -> None:
    with MjpegCamera() as camera:
        camera.mode = "truncated"
        capture = Capture(parse_source(camera.uri), settings=CaptureSettings(give_up_s=1.0))
        with capture, pytest.raises(SourceError, match=r"no first frame within .* but \d+ damaged pictures"):
            capture.wait_until_open(GO_ON, time.monotonic() + 20)
        assert capture.health.damaged > 5


@pytest.mark.parametrize(
    ("challenge", "said"),
    [
        (b"Digest", "digest authentication without realm and nonce"),
        (b"Digest realm=camera", "digest authentication without nonce"),
    ],
)
def test_digest_authentication_that_lacks_parameters_is_told(challenge: bytes, said: str) -> None:
    with MjpegCamera(authorization="never") as camera:
        camera.refusal = b"HTTP/1.0 401 No\r\nWWW-Authenticate: %s\r\nContent-Length: 0\r\n\r\n" % challenge
        with pytest.raises(SourceError, match=said) as error:
            MjpegReader(parse_source(camera.uri.replace("http://", "http://me:secret@")))
        assert "secret" not in str(error.value)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 500 \x1b[31mred\x07\r\n\r\n", b"HTTP/1.1 two hundred\r\n\r\n"])
def test_what_a_camera_says_is_one_line_that_steers_no_terminal(answer: bytes) -> None:
    with LyingCamera(says(answer), 0) as camera:
        source = parse_source(f"http://127.0.0.1:{camera.port}/")
        with Capture(source) as capture, pytest.raises(SourceError, match="no answer that is of use") as caught:
            capture.wait_until_open(GO_ON)
    assert str(caught.value).isprintable()
