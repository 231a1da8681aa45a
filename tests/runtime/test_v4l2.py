"""No camera is at hand: a driver's answers, packed as linux/videodev2.h lays them out, stand for one."""

import errno
import struct
from pathlib import Path

from edgeseg.geometry import Size
from edgeseg.runtime import v4l2

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
    assert (camera.uri, camera.name) == ("v4l2:///dev/video0", "A Camera")
    assert camera.modes == tuple(v4l2.Mode("MJPG", Size(h, w), (30.0, 14.99)) for w, h in SIZES)
    assert str(camera.modes[0]) == "MJPG 1280x720 at 30, 14.99 frames a second"


def test_a_device_for_metadata_is_no_camera() -> None:
    assert v4l2.describe(Path("/dev/video1"), driver(device=0x04A00000)) is None


def test_a_csi_camera_is_shown_as_csi() -> None:
    camera = v4l2.describe(Path("/dev/video0"), driver(name=b"tegra-video"))
    assert camera is not None
    assert camera.uri == "csi://0"


def test_what_is_no_camera_is_said_and_where_there_is_none_too(tmp_path: Path) -> None:
    assert "no camera found" in v4l2.list_cameras(tmp_path)
    (tmp_path / "video0").write_bytes(b"")
    assert "cannot be opened" in v4l2.list_cameras(tmp_path)
