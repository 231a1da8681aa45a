"""Which GPUs a wheel has code for: fat binaries are read as they lie in libraries; a wheel for others is refused."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from edgeseg.bundle.fetch import gather
from edgeseg.bundle.gpu_code import gpu_code, refuse_without_gpu_code
from edgeseg.bundle.packages import read_package
from edgeseg.bundle.targets import TARGETS
from edgeseg.core.errors import UsageError
from tests.helpers.package_files import write_index, write_wheel

PTX, MACHINE = 1, 2
PYPI = [(MACHINE, 89), (MACHINE, 90), (MACHINE, 120), (MACHINE, 121)]
"""What PyPI's onnxruntime-gpu 1.31.1 for aarch64 holds."""


def fat_binary(parts: list[tuple[int, int]], header: int = 64) -> bytes:
    """As nvcc lays it out: for each part a header of 64 bytes, or more, and its code."""
    content = b""
    for kind, architecture in parts:
        code = bytes(architecture)
        head = struct.pack("<HHIQIIHHI", kind, 0x101, header, len(code), 0, 0, 8, 1, architecture)
        content += head.ljust(header, b"\0") + code
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(content)) + content


def write_gpu_wheel(folder: Path, parts: list[tuple[int, int]], name: str = "onnxruntime-gpu") -> Path:
    path = write_wheel(folder, name, "1.23.0", "cp310-cp310-linux_aarch64", ["numpy>=1.21.6"])
    half = len(parts) // 2
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("onnxruntime/capi/libonnxruntime.so.1", b"\x7fELF no code of a GPU\x50\xed\x55\xba")
        archive.writestr("onnxruntime/capi/empty.so", b"")
        archive.writestr(
            "onnxruntime/capi/libonnxruntime_providers_cuda.so",
            b"\x7fELF" + bytes(4096) + fat_binary(parts[:half]) + bytes(8) + fat_binary(parts[half:], 104) + bytes(99),
        )
    return path


@pytest.mark.parametrize(
    ("parts", "text", "orin", "thor"),
    [
        (PYPI, "8.9, 9.0, 12.0, 12.1", False, False),
        ([(MACHINE, 87)], "8.7", True, False),
        ([(MACHINE, 87), (MACHINE, 110)], "8.7, 11.0", True, True),
        ([(MACHINE, 80), (MACHINE, 86)], "8.0, 8.6", False, False),  # a Jetson runs no code of a desktop's GPU
        ([(MACHINE, 120), (PTX, 80)], "12.0, PTX of 8.0", True, True),
        ([(MACHINE, 80), (PTX, 90)], "8.0, PTX of 9.0", False, True),
    ],
)
def test_architectures_are_read_and_a_jetson_wants_its_own_or_ptx(
    tmp_path: Path, parts: list[tuple[int, int]], text: str, orin: bool, thor: bool
) -> None:
    code = gpu_code(write_gpu_wheel(tmp_path, parts))
    assert str(code) == text
    assert (code.runs_on("8.7"), code.runs_on("11.0")) == (orin, thor)


def test_a_wheel_without_code_for_the_board_goes_into_no_bundle(tmp_path: Path) -> None:
    six, offered = TARGETS["6"], write_index(tmp_path / "offered", TARGETS["6"])
    next(offered.glob("onnxruntime-*")).unlink()
    write_gpu_wheel(offered, PYPI)
    folder = tmp_path / "wheels"
    folder.mkdir()
    write_wheel(folder, "edgeseg", "1.0", requires=["numpy", "click"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        with pytest.raises(UsageError) as caught:
            gather(six, "onnxruntime-cuda", folder, offered, lambda text: None)
    assert "has code for GPUs of compute capability 8.9, 9.0, 12.0, 12.1; JetPack 6 has 8.7 (Orin)" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_of_the_device_s_boards_is_enough_and_no_code_of_a_gpu_is_no_fault(tmp_path: Path) -> None:
    thor = {"onnxruntime-gpu": read_package(write_gpu_wheel(tmp_path, [(MACHINE, 110)]))}
    refuse_without_gpu_code(thor, TARGETS["7"])
    with pytest.raises(UsageError, match="JetPack 6 has"):
        refuse_without_gpu_code(thor, TARGETS["6"])
    refuse_without_gpu_code({"plain": read_package(write_gpu_wheel(tmp_path, [], "plain"))}, TARGETS["6"])
    refuse_without_gpu_code(thor, TARGETS["debian12"])


def test_a_broken_wheel_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken.whl").write_bytes(b"half")
    with pytest.raises(UsageError, match="download it again"):
        gpu_code(tmp_path / "broken.whl")
