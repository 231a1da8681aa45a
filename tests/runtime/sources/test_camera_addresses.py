import threading
from pathlib import Path

import cv2
import pytest

from edgeseg.core.errors import EdgesegError, SourceError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.runtime.capture.capture import Capture
from edgeseg.runtime.settings import CaptureSettings
from edgeseg.runtime.sources.addresses import parse_source
from edgeseg.runtime.sources.source import SourceOptions, hide_secrets, with_credentials


@pytest.mark.parametrize(
    ("uri", "kind", "location"),
    [
        ("csi://0", "csi", "0"),
        ("v4l2:///dev/video2", "v4l2", "/dev/video2"),
        ("rtsp://cam:8554/1", "rtsp", "rtsp://cam:8554/1"),
        ("https://cam/x.mjpg", "http", "https://cam/x.mjpg"),
        ("gst://videotestsrc ! identity", "gst", "videotestsrc ! identity"),
    ],
)
def test_each_camera_address_is_understood(uri: str, kind: str, location: str) -> None:
    source = parse_source(uri)
    assert (source.kind, source.location, source.is_camera) == (kind, location, True)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("3", "csi://3 or v4l2:///dev/video3"),
        ("csi://front", "number of the sensor"),
        ("v4l2://1", "v4l2:///dev/video1"),
        ("rtsp://", "no host"),
        ("rtsp://cam:port/", "port"),
        ("gst:// ", "a pipeline"),
        ("rtspx://cam", "did you mean rtsp"),
    ],
)
def test_nonsense_is_refused_with_the_remedy(uri: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_source(uri)


def test_an_option_that_a_camera_does_not_have_is_refused() -> None:
    with pytest.raises(UsageError, match="--source-exposure-us is not for rtsp"):
        parse_source("rtsp://cam/1", options=SourceOptions(exposure_us=10))
    with pytest.raises(UsageError, match="--source-size is not for http"):
        parse_source("http://cam/1", size=Size(10, 10))
    with pytest.raises(UsageError, match="options of cameras"):
        parse_source("scenes://", options=SourceOptions(flip="vertical"))
    with pytest.raises(UsageError, match="no end to begin again"):
        parse_source("csi://0", loop=True)


@pytest.mark.parametrize(
    "uri",
    [
        "rtsp://me:hush@cam/1",
        "rtsp://cam/1?user=me&password=hush",
        "http://cam/video?pwd=hush&res=1",
        "gst://rtspsrc location=rtsp://cam/1 user-id=me user-pw=hush ! decodebin",
        "rtsp://me:hu/hush@cam/1",
        "rtsp://me:12/hush@cam/1",
        "rtpsx://me:hush@cam/1",
    ],
)
def test_a_password_is_in_no_text_about_the_source(uri: str) -> None:
    try:
        source = parse_source(uri)
        shown = repr(source) + source.uri + source.without_secrets(f"cannot open {uri}")
    except EdgesegError as error:
        shown = str(error)
    assert "hush" not in shown


def test_credentials_come_from_a_file_or_the_environment_and_the_address_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGESEG_SOURCE_CREDENTIALS", "env:one")
    assert parse_source("rtsp://cam/1").location == "rtsp://env:one@cam/1"
    path = tmp_path / "login"
    path.write_text("file:t/w@o\n")
    options = SourceOptions(credentials=str(path))
    assert parse_source("rtsp://cam/1", options=options).location == "rtsp://file:t%2Fw%40o@cam/1"
    assert parse_source("rtsp://own:x@cam/1", options=options).location == "rtsp://own:x@cam/1"
    path.write_text("no colon")
    with pytest.raises(SourceError, match="USER:PASSWORD") as caught:
        parse_source("rtsp://cam/1", options=options)
    assert "no colon" not in str(caught.value)


def test_secrets_are_hidden_wherever_they_stand() -> None:
    assert hide_secrets("rtsp://a:b@c/d http://e:f@g") == "rtsp://***@c/d http://***@g"
    assert with_credentials("rtsp://cam:1/x/y?z=1", "a:b c") == "rtsp://a:b%20c@cam:1/x/y?z=1"


@pytest.mark.parametrize("uri", ["csi://0", "gst://videotestsrc"])
def test_a_source_that_needs_gstreamer_says_so_where_there_is_none(uri: str) -> None:
    if cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        pytest.skip("this OpenCV has GStreamer")
    settings = CaptureSettings(give_up_s=60.0)  # waiting cannot help
    with (
        Capture(parse_source(uri), settings=settings) as capture,
        pytest.raises(SourceError, match=f"^source {uri} needs OpenCV with GStreamer.*python3-opencv"),
    ):
        capture.wait_until_open(threading.Event())
