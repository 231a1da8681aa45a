"""Which cameras the kernel shows, and their modes: Video4Linux2 by ioctl, without a library.

Structures and numbers as in linux/videodev2.h.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgeseg.geometry import Size

Ioctl = Callable[[int, bytearray], None]
"""Does a request on a device in place. Raises OSError: EINVAL after the last entry of a list."""

_CAPABILITY = struct.Struct("=16s32s32sIII12x")
_FORMAT = struct.Struct("=III32sII12x")
_FRAME_SIZE = struct.Struct("=IIIII16xxxxxxxxx")
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


@dataclass(frozen=True)
class Mode:
    """A pixel format and size, with the frame rates it comes at, highest first; none if the driver gives a range."""

    format: str
    size: Size
    rates: tuple[float, ...]

    def __str__(self) -> str:
        rates = ", ".join(f"{rate:g}" for rate in self.rates) or "?"
        return f"{self.format} {self.size} at {rates} frames a second"


@dataclass(frozen=True)
class CameraDevice:
    """A device that captures video."""

    uri: str
    name: str
    driver: str
    modes: tuple[Mode, ...] = field(default=())


def list_cameras(devices: Path = Path("/dev")) -> str:
    """Return the cameras found with their modes, for a terminal."""
    lines: list[str] = []
    paths = sorted(devices.glob("video[0-9]*"), key=lambda path: int(path.name[5:]) if path.name[5:].isdigit() else 0)
    for path in paths:
        try:
            camera = _open_and_describe(path)
        except OSError as error:
            lines.append(f"v4l2://{path}  cannot be opened ({error.strerror})")
            continue
        if camera:
            lines += [f"{camera.uri}  {camera.name} ({camera.driver})", *(f"    {mode}" for mode in camera.modes)]
    return "\n".join(lines) or "no camera found: no /dev/video* that captures; network cameras are not searched for"


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
    name = _text(driver)
    # Jetson's CSI cameras show themselves here with raw Bayer formats; Argus opens them by number.
    uri = f"csi://{path.name[5:]}" if name == "tegra-video" else f"v4l2://{path}"
    return CameraDevice(uri, _text(card), name, tuple(_modes(ioctl)))


def _modes(ioctl: Ioctl) -> Iterator[Mode]:
    for form in _entries(ioctl, ENUMERATE_FORMATS, _FORMAT, lambda index: (index, _VIDEO_CAPTURE, 0, b"", 0, 0)):
        code = form[4]
        for entry in _entries(
            ioctl,
            ENUMERATE_SIZES,
            _FRAME_SIZE,
            lambda index, code=code: (index, code, 0, 0, 0),  # type: ignore[misc]
        ):
            _, _, kind, width, height = entry
            size = Size(height, width)
            if kind != _DISCRETE:  # min, max, step: the least is all that need be shown
                yield Mode(_fourcc(code), size, ())
                break
            yield Mode(_fourcc(code), size, tuple(_rates(ioctl, code, size)))


def _rates(ioctl: Ioctl, code: int, size: Size) -> Iterator[float]:
    def ask(index: int) -> tuple[int, ...]:
        return (index, code, size.width, size.height, 0, 0, 0, 0, 0, 0, 0)

    for entry in _entries(ioctl, ENUMERATE_INTERVALS, _FRAME_INTERVAL, ask):
        kind, numerator, denominator = entry[4:7]
        if kind != _DISCRETE:
            return
        if numerator:
            yield round(denominator / numerator, 2)


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
