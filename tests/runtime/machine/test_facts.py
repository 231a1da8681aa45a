"""What machine this is, told by files of other machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeseg.runtime.machine.facts import is_jetson, processor


def write(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("etc/nv_tegra_release", "# R36 (release), REVISION: 4.0, GCID: 1, BOARD: generic\n"),
        ("proc/device-tree/nvidia,dtsfilename", "p3767.dts\0"),
        ("proc/device-tree/model", "NVIDIA Jetson Orin Nano Developer Kit\0"),  # all that a container may show
    ],
)
def test_a_jetson_is_known_by_any_of_its_marks(tmp_path: Path, path: str, text: str) -> None:
    write(tmp_path, "proc/device-tree/model", "Raspberry Pi 5 Model B\0")
    assert not is_jetson(tmp_path)
    write(tmp_path, path, text)
    assert is_jetson(tmp_path)


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [
        ("processor\t: 0\nmodel\t\t: 85\nmodel name\t: AMD EPYC\nmodel name\t: AMD EPYC\n", "AMD EPYC"),
        ("processor\t: 0\nBogoMIPS\t: 108.00\nModel\t\t: Raspberry Pi 5 Model B\n", "Raspberry Pi 5 Model B"),
        ("processor\t: 0\nBogoMIPS\t: 62.50\n", "NVIDIA Jetson AGX Orin"),
    ],
)
def test_the_processor_is_called_as_the_kernel_calls_it_else_as_the_board(
    tmp_path: Path, cpuinfo: str, name: str
) -> None:
    write(tmp_path, "proc/cpuinfo", cpuinfo)
    write(tmp_path, "proc/device-tree/model", "NVIDIA Jetson AGX Orin\0")
    assert processor(tmp_path) == name
