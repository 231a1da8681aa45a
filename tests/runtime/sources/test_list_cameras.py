"""No camera is at hand: a driver's answers, packed as linux/videodev2.h lays them out, stand for one."""

import errno
import struct
from pathlib import Path

import pytest

from edgeseg.core.geometry import Size
from edgeseg.runtime.sources import list_cameras as v4l2

MJPG = int.from_bytes(b"MJPG", "little")
SIZES = [(1280, 720), (640, 480)]
RATES = [(1, 30), (1001, 15000)]


def driver(capabilities: int = 0x84200001, device: int = 0x04200001, name: bytes = b"uvcvideo") -> v4l2.Ioctl:
    def ioctl(request: int, data: bytearray) -> None:
        (index,) = struct.unpack_from("=I", data)
        if request == v4l2.QUERY_CAPABILITY:
            struct.pack_into("=16s32s32sIII", data, 0, name, b"A Camera", b"usb-1", 1, capabilities, device)
        elif request == v4l2.ENUMERATE_FORMATS and index < 1:
            struct.pack_into("=I", data, 44, MJPG)
        elif request == v4l2.ENUMERATE_SIZES and index < len(SIZES):
            assert struct.unpack_from("=I", data, 4)[0] == MJPG
            struct.pack_into("=III", data, 8, 1, *SIZES[index])
        elif request == v4l2.ENUMERATE_INTERVALS and index < len(RATES):
            struct.pack_into("=III", data, 16, 1, *RATES[index])
        else:
            raise OSError(errno.EINVAL, "Invalid argument")

    return ioctl


def test_modes_are_read_from_the_driver() -> None:
    camera = v4l2.describe(Path("/dev/video0"), driver())
    assert camera is not None
    assert (camera.name, camera.is_csi) == ("A Camera", False)
    assert camera.modes == tuple(v4l2.Mode("MJPG", Size(h, w), (30.0, 14.99)) for w, h in SIZES)
    assert str(camera.modes[0]) == "MJPG 1280x720 at 30, 14.99 frames a second"


def test_a_device_for_metadata_is_no_camera() -> None:
    assert v4l2.describe(Path("/dev/video1"), driver(device=0x04A00000)) is None


def test_a_range_of_sizes_and_rates_is_shown_with_its_ends() -> None:
    def ranged(request: int, data: bytearray) -> None:
        (index,) = struct.unpack_from("=I", data)
        if request == v4l2.ENUMERATE_SIZES and index == 0:
            struct.pack_into("=IIIIIII", data, 8, 3, 16, 3280, 2, 32, 2464, 2)
        elif request == v4l2.ENUMERATE_INTERVALS and index == 0:
            assert struct.unpack_from("=II", data, 8) == (3280, 2464)
            struct.pack_into("=IIIIIII", data, 16, 3, 1, 90, 1, 1, 1, 90)
        elif request in (v4l2.ENUMERATE_SIZES, v4l2.ENUMERATE_INTERVALS):
            raise OSError(errno.EINVAL, "Invalid argument")
        else:
            driver()(request, data)

    camera = v4l2.describe(Path("/dev/video0"), ranged)
    assert camera is not None
    assert [str(mode) for mode in camera.modes] == ["MJPG 16x32 to 3280x2464 at 1 to 90 frames a second"]


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /dev with two cameras of one make and serial number, two CSI sensors, and udev's names."""
    names = {"video0": b"uvcvideo", "video1": b"tegra-video", "video2": b"uvcvideo", "video3": b"tegra-video"}
    for name in names:
        (tmp_path / name).touch()
    for link, target in (
        ("by-id/usb-Make_0001-video-index0", "video2"),
        ("by-path/usb-0:1-index0", "video0"),
        ("by-path/usb-0:2-index0", "video2"),
    ):
        path = tmp_path / "v4l" / link
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(tmp_path / target)

    def described(path: Path) -> v4l2.CameraDevice | None:
        return v4l2.describe(path, driver(name=names[path.name]))

    monkeypatch.setattr(v4l2, "_open_and_describe", described)
    return tmp_path


def test_two_cameras_of_one_name_are_told_apart_by_where_they_are_plugged_in(devices: Path) -> None:
    lines = v4l2.list_cameras(devices).splitlines()
    first, second = (lines.index(f"v4l2://{devices}/{name}  A Camera (uvcvideo)") for name in ("video0", "video2"))
    assert "by-path/usb-0:1" in lines[first + 1]
    assert "MJPG 1280x720" in lines[first + 2]
    assert "by-id/usb-Make_0001" in lines[second + 1]
    assert "by-path/usb-0:2" in lines[second + 2]


def test_csi_cameras_are_numbered_by_themselves(devices: Path) -> None:
    heads = [line.split()[0] for line in v4l2.list_cameras(devices).splitlines() if not line.startswith(" ")]
    assert heads == [f"v4l2://{devices}/video0", "csi://0", f"v4l2://{devices}/video2", "csi://1"]


def test_what_is_no_camera_is_said_and_where_there_is_none_too(tmp_path: Path) -> None:
    assert "no camera found" in v4l2.list_cameras(tmp_path)
    (tmp_path / "video0").write_bytes(b"")
    assert "cannot be opened" in v4l2.list_cameras(tmp_path)
