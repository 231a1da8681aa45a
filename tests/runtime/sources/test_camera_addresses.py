import threading
from pathlib import Path

import cv2
import pytest

from edgeseg.core.errors import SourceError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.runtime.capture.capture import Capture
from edgeseg.runtime.settings import CaptureSettings
from edgeseg.runtime.sources.addresses import parse_source
from edgeseg.runtime.sources.source import SourceOptions


@pytest.mark.parametrize(
    ("uri", "kind", "opened", "shown"),
    [
        ("csi://0", "csi", "0", "csi://0"),
        ("v4l2:///dev/video2", "v4l2", "/dev/video2", "v4l2:///dev/video2"),
        ("rtsp://cam:8554/1", "rtsp", "rtsp://cam:8554/1", "rtsp://cam:8554/1"),
        ("RTSPS://[fe80::1%25eth0]:322/", "rtsp", "rtsps://[fe80::1%25eth0]:322/", "rtsps://[fe80::1%25eth0]:322/"),
        ("rtsp://me:a%40b@cam", "rtsp", "rtsp://me:a%40b@cam", "rtsp://***@cam"),
        ("rtsp://me:p!ss@cam", "rtsp", "rtsp://me:p%21ss@cam", "rtsp://***@cam"),
        ("rtsp://me@cam/1", "rtsp", "rtsp://me:@cam/1", "rtsp://***@cam/1"),
        ("rtsp://cam/live?channel=2&subtype=1", "rtsp", *["rtsp://cam/live?channel=2&subtype=1"] * 2),
        ("rtsp://cam/1?channel=2&tok=x", "rtsp", "rtsp://cam/1?channel=2&tok=x", "rtsp://cam/1?channel=2&***"),
        ("rtsp://cam/user=me_password=x_.sdp", "rtsp", "rtsp://cam/user=me_password=x_.sdp", "rtsp://cam/***"),
        ("https://cam/x.mjpg", "http", "https://cam/x.mjpg", "https://cam/x.mjpg"),
        ("gst://videotestsrc ! identity", "gst", "videotestsrc ! identity", "gst://videotestsrc ..."),
        (
            "gst://v4l2src device=/dev/video1",
            "gst",
            *["v4l2src device=/dev/video1", "gst://v4l2src device=/dev/video1"],
        ),
    ],
)
def test_each_camera_address_is_understood(uri: str, kind: str, opened: str, shown: str) -> None:
    source = parse_source(uri)
    location = source.address.reveal() if source.address else source.location
    assert (source.kind, location, source.uri, source.is_camera) == (kind, opened, shown, True)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("3", "csi://3 or v4l2:///dev/video3"),
        ("csi://front", "number of the sensor"),
        ("v4l2://1", "v4l2:///dev/video1"),
        ("rtsp://", "no host"),
        ("rtsp://cam:port/", "port"),
        ("rtsp://cam:70000/", "port is none of 1 to 65535"),
        ("rtsp://me:50%@cam/", "is %25"),
        ("rtsp://me:a b@cam/", "a blank"),
        ("rtsp://me:a/b@cam/", "@ behind the host"),
        ("rtsp://me:a@b@cam/", "two of them"),
        ("rtsp://me:12#3@cam/", "@ behind the host"),
        ("rtsp://cam/1#2", "holds #"),
        ("gst:// ", "a pipeline"),
        ('gst://rtspsrc user-pw="a', "not closed"),
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


def opened(uri: str, options: SourceOptions | None = None) -> str:
    return parse_source(uri, options=options).network_address.reveal()


def test_credentials_go_to_the_host_of_the_address_and_to_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """To `b` they went, for `rtsp://10.0.0.5?x=a@b`."""
    monkeypatch.setenv("EDGESEG_SOURCE_CREDENTIALS", "me:hush")
    with pytest.raises(UsageError, match="@ behind the host") as caught:
        parse_source("rtsp://10.0.0.5?x=a@b")
    assert "hush" not in str(caught.value)
    assert opened("rtsp://10.0.0.5?x=a%40b") == "rtsp://me:hush@10.0.0.5?x=a%40b"
    assert opened("http://10.0.0.5") == "http://me:hush@10.0.0.5"


def test_credentials_come_from_a_file_or_the_environment_and_the_address_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGESEG_SOURCE_CREDENTIALS", "env:one")
    assert opened("rtsp://cam/1") == "rtsp://env:one@cam/1"
    path = tmp_path / "login"
    path.write_text("file:t/w@o\n")
    options = SourceOptions(credentials=str(path))
    assert opened("rtsp://cam/1", options) == "rtsp://file:t%2Fw%40o@cam/1"
    assert opened("rtsp://own:x@cam/1", options) == "rtsp://own:x@cam/1"
    path.write_text("no colon")
    with pytest.raises(SourceError, match="USER:PASSWORD") as caught:
        parse_source("rtsp://cam/1", options=options)
    assert "no colon" not in str(caught.value)


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
