"""Which cameras the kernel shows, and their modes: Video4Linux2 by ioctl, without a library.

Structures and numbers as in linux/videodev2.h.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgeseg.core.geometry import Size

Ioctl = Callable[[int, bytearray], None]
"""Does a request on a device in place. Raises OSError: EINVAL after the last entry of a list."""

_CAPABILITY = struct.Struct("=16s32s32sIII12x")
_FORMAT = struct.Struct("=III32sII12x")
_FRAME_SIZE = struct.Struct("=IIIIIIIII8x")
_FRAME_INTERVAL = struct.Struct("=IIIIIIIIIII8x")

QUERY_CAPABILITY, ENUMERATE_FORMATS, ENUMERATE_SIZES, ENUMERATE_INTERVALS = (
    0x80685600,
    0xC0405602,
    0xC02C564A,
    0xC034564B,
)
_VIDEO_CAPTURE = 0x1
_HAS_DEVICE_CAPS = 0x80000000
_DISCRETE = 1
_MOST_ENTRIES = 256  # a driver that never says EINVAL must not hold us up
_JETSON_CSI = "tegra-video"


@dataclass(frozen=True)
class Mode:
    """A pixel format and size, with the frame rates it comes at.

    Attributes:
        format: as V4L2's four characters.
        size: the least one where a driver gives a range, up to `largest`.
        rates: the highest first; lowest and highest where `is_range`; none if the driver does not say.
    """

    format: str
    size: Size
    rates: tuple[float, ...]
    largest: Size | None = None
    is_range: bool = False

    def __str__(self) -> str:
        size = f"{self.size} to {self.largest}" if self.largest else f"{self.size}"
        rates = (" to " if self.is_range else ", ").join(f"{rate:g}" for rate in self.rates) or "?"
        return f"{self.format} {size} at {rates} frames a second"


@dataclass(frozen=True)
class CameraDevice:
    """A device that captures video; `is_csi`: of a Jetson's camera connector, opened by Argus and not by V4L2."""

    path: Path
    name: str
    driver: str
    modes: tuple[Mode, ...] = field(default=())

    @property
    def is_csi(self) -> bool:
        return self.driver == _JETSON_CSI


def list_cameras(devices: Path = Path("/dev")) -> str:
    """Return the cameras found with their modes, for a terminal."""
    lines: list[str] = []
    sensors = itertools.count()  # Argus numbers a Jetson's sensors by themselves, whatever other cameras there are
    paths = sorted(devices.glob("video[0-9]*"), key=lambda path: int(path.name[5:]) if path.name[5:].isdigit() else 0)
    for path in paths:
        try:
            camera = _open_and_describe(path)
        except OSError as error:
            remedy = "; add the user to the group video" if isinstance(error, PermissionError) else ""
            lines.append(f"v4l2://{path}  cannot be opened ({error.strerror}){remedy}")
            continue
        if camera:
            uri = f"csi://{next(sensors)}" if camera.is_csi else f"v4l2://{path}"
            lines += [f"{uri}  {camera.name} ({camera.driver})"]
            lines += [] if camera.is_csi else _lasting_names(path, devices)
            lines += [f"    {mode}" for mode in camera.modes]
    return "\n".join(lines) or "no camera found: no /dev/video* that captures; network cameras are not searched for"


def _lasting_names(path: Path, devices: Path) -> list[str]:
    """Return lines with the names of a device that outlast its number, by which two cameras of one make are told apart.

    Two with the same serial number share one name by id: udev gives it to one of them.
    """
    kinds = {"by-id": "that camera, in any socket", "by-path": "any camera in that socket"}
    return [
        f"    v4l2://{link}  ({meaning})"
        for kind, meaning in kinds.items()
        for link in sorted(devices.glob(f"v4l/{kind}/*"))
        if link.resolve() == path.resolve()
    ]


def _open_and_describe(path: Path) -> CameraDevice | None:
    device = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        return describe(path, lambda request, data: _ioctl(device, request, data))
    finally:
        os.close(device)


def _ioctl(device: int, request: int, data: bytearray) -> None:
    fcntl.ioctl(device, request, data, True)


def describe(path: Path, ioctl: Ioctl) -> CameraDevice | None:
    """Ask a device what it is; None if it captures no video (metadata, output). Raises OSError."""
    data = bytearray(_CAPABILITY.size)
    ioctl(QUERY_CAPABILITY, data)
    driver, card, _, _, capabilities, device_capabilities = _CAPABILITY.unpack(data)
    if not (device_capabilities if capabilities & _HAS_DEVICE_CAPS else capabilities) & _VIDEO_CAPTURE:
        return None
    return CameraDevice(path, _text(card), _text(driver), tuple(_modes(ioctl)))


def _modes(ioctl: Ioctl) -> Iterator[Mode]:
    for form in _entries(ioctl, ENUMERATE_FORMATS, _FORMAT, lambda index: (index, _VIDEO_CAPTURE, 0, b"", 0, 0)):
        code = form[4]
        for entry in _entries(
            ioctl,
            ENUMERATE_SIZES,
            _FRAME_SIZE,
            lambda index, code=code: (index, code, 0, 0, 0, 0, 0, 0, 0),  # type: ignore[misc]
        ):
            kind, numbers = entry[2], entry[3:]
            if kind == _DISCRETE:
                size, largest = Size(numbers[1], numbers[0]), None
            else:  # least and greatest width, step, then the same of height
                size, largest = Size(numbers[3], numbers[0]), Size(numbers[4], numbers[1])
            rates, is_range = _rates(ioctl, code, largest or size)
            yield Mode(_fourcc(code), size, rates, largest, is_range)
            if largest:
                break


def _rates(ioctl: Ioctl, code: int, size: Size) -> tuple[tuple[float, ...], bool]:
    """Return the frame rates of a size, and whether they are the ends of a range."""

    def ask(index: int) -> tuple[int, ...]:
        return (index, code, size.width, size.height, 0, 0, 0, 0, 0, 0, 0)

    rates: list[float] = []
    for entry in _entries(ioctl, ENUMERATE_INTERVALS, _FRAME_INTERVAL, ask):
        kind, *fractions = entry[4:9]  # of seconds a frame; of a range the shortest, then the longest
        if kind != _DISCRETE:
            return tuple(sorted(_rate(*pair) for pair in (fractions[:2], fractions[2:]) if all(pair))), True
        if all(fractions[:2]):
            rates.append(_rate(*fractions[:2]))
    return tuple(rates), False


def _rate(numerator: int, denominator: int) -> float:
    return round(denominator / numerator, 2)


def _entries(
    ioctl: Ioctl, request: int, layout: struct.Struct, ask: Callable[[int], tuple[object, ...]]
) -> Iterator[tuple[int, ...]]:
    for index in range(_MOST_ENTRIES):
        data = bytearray(layout.pack(*ask(index)))
        try:
            ioctl(request, data)
        except OSError:
            return
        yield layout.unpack(data)


def _text(data: bytes) -> str:
    return data.partition(b"\0")[0].decode(errors="replace")


def _fourcc(code: int) -> str:
    return struct.pack("<I", code & 0x7FFFFFFF).decode(errors="replace").strip()
