import dataclasses
import shutil
import subprocess

import pytest

from edgeseg.core.errors import UsageError
from edgeseg.core.geometry import Size
from edgeseg.runtime.sources.addresses import parse_source
from edgeseg.runtime.sources.kinds.csi import csi_pipeline
from edgeseg.runtime.sources.kinds.gst import raw_pipeline
from edgeseg.runtime.sources.kinds.rtsp import ffmpeg_options, rtsp_pipeline
from edgeseg.runtime.sources.source import SourceOptions

SINK = "videoconvert ! video/x-raw, format=BGR ! appsink drop=true max-buffers=1 sync=false"


def test_a_csi_camera_is_asked_for_size_rate_flip_and_exposure() -> None:
    options = SourceOptions(flip="rotate-180", exposure_us=8000)
    source = parse_source("csi://1", fps=29.97, size=Size(1080, 1920), options=options)
    assert csi_pipeline(source) == (
        'nvarguscamerasrc sensor-id=1 exposuretimerange="8000000 8000000" ! '
        "video/x-raw(memory:NVMM), width=1920, height=1080, framerate=30000/1001, format=NV12 ! "
        f"nvvidconv flip-method=2 ! video/x-raw, format=BGRx ! {SINK}"
    )


@pytest.mark.parametrize(
    ("fps", "written"), [(30, "30/1"), (59.94, "60000/1001"), (23.976, "24000/1001"), (12.5, "25/2")]
)
def test_rates_are_written_as_drivers_name_them(fps: float, written: str) -> None:
    assert f"framerate={written}," in csi_pipeline(parse_source("csi://0", fps=fps))


def test_an_rtsp_camera_s_password_is_quoted_and_no_part_of_its_address() -> None:
    source = parse_source("rtsp://me:a%22b%40c@cam:8554/1?x=2", options=SourceOptions(transport="udp", latency_ms=250))
    text = rtsp_pipeline(source, is_jetson=False)
    assert 'location="rtsp://cam:8554/1?x=2" protocols=udp latency=250' in text
    assert 'user-id="me" user-pw="a\\"b@c"' in text
    assert text.endswith(f"decodebin ! {SINK}")
    assert "decodebin ! nvvidconv ! video/x-raw, format=BGRx" in rtsp_pipeline(source, is_jetson=True)


def test_ffmpeg_is_told_transport_and_patience() -> None:
    source = parse_source("rtsp://cam/1", options=SourceOptions(transport="udp", latency_ms=250))
    options = dict(part.split(";") for part in ffmpeg_options(source, 0.2).split("|"))
    assert options["rtsp_transport"] == "udp"
    assert options["max_delay"] == "250000"
    assert options["analyzeduration"] == "200000"


def test_a_user_s_pipeline_gets_the_sink_that_it_lacks() -> None:
    assert raw_pipeline("videotestsrc is-live=true") == f"videotestsrc is-live=true ! {SINK}"
    own = "videotestsrc ! videoconvert ! appsink drop=true"
    assert raw_pipeline(own) == own
    for nonsense in ("videotestsrc ! autovideosink", "videotestsrc !"):
        with pytest.raises(UsageError, match="appsink"):
            raw_pipeline(nonsense)


@pytest.mark.skipif(not shutil.which("gst-launch-1.0"), reason="no gst-launch-1.0: apt-get install gstreamer1.0-tools")
def test_gstreamer_takes_the_pipelines() -> None:
    source = dataclasses.replace(parse_source("rtsp://me:p%40ss@127.0.0.1:1/x"))
    done = subprocess.run(
        ["gst-launch-1.0", *rtsp_pipeline(source, is_jetson=False).split()], capture_output=True, text=True, timeout=30
    )
    assert "erroneous pipeline" not in done.stderr
    # Nobody takes frames from gst-launch's appsink, which would wait for that at the end.
    text = f"{raw_pipeline('videotestsrc num-buffers=3')} wait-on-eos=false"
    done = subprocess.run(["gst-launch-1.0", *text.split()], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
