"""Which GPUs a wheel has code for, read out of the fat binaries in its libraries, where no GPU is needed to ask.

nvcc puts fat binaries into a library one after the other. Each begins with a magic number and holds, for one
architecture each, machine code or PTX; what precedes them is a header of 16 bytes, and one of its own length for each
(as cuobjdump --list-elf lists them; the layout is documented by github.com/n-eiling/cuda-fatbin-decompression).
"""

from __future__ import annotations

import mmap
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edgeseg.bundle.packages import Package
from edgeseg.bundle.targets import Target
from edgeseg.core.errors import UsageError

_MAGIC = struct.pack("<I", 0xBA55ED50)
_CONTAINER = struct.Struct("<4sHHQ")  # magic, version, size of this header, size of all that follows
_PART = struct.Struct("<HHIQ12xI")  # kind, version, size of this header, size of the code, architecture
_PTX, _MACHINE = 1, 2
_HEADER = 16


class GpuCode(NamedTuple):
    """What a wheel has: machine code and PTX, by compute capability without the dot, as 87 for 8.7."""

    machine: frozenset[int]
    ptx: frozenset[int]

    @property
    def is_any(self) -> bool:
        return bool(self.machine or self.ptx)

    def runs_on(self, compute_capability: str) -> bool:
        """Whether a Jetson's GPU runs it: its own machine code, or PTX of it or an earlier one, compiled there.

        Machine code of other GPUs of the same generation is none for a Jetson (docs.nvidia.com/cuda, Ampere
        Compatibility Guide: binary compatibility is not supported between desktop and Tegra).
        """
        own = int(compute_capability.replace(".", ""))
        return own in self.machine or any(each <= own for each in self.ptx)

    def __str__(self) -> str:
        texts = [_dotted(each) for each in sorted(self.machine)]
        return ", ".join([*texts, *(f"PTX of {_dotted(each)}" for each in sorted(self.ptx))])


def _dotted(number: int) -> str:
    return f"{number // 10}.{number % 10}"


def gpu_code(wheel: Path) -> GpuCode:
    """Read a wheel's libraries. Raises UsageError if it cannot be read."""
    found = set()
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                if ".so" in Path(member.filename).name:
                    with tempfile.TemporaryFile() as file, archive.open(member) as packed:
                        shutil.copyfileobj(packed, file, 1 << 20)
                        file.flush()
                        found |= set(_parts(file.fileno()))
    except (OSError, zipfile.BadZipFile) as error:
        raise UsageError(f"{wheel}: cannot be read ({error}); download it again, or set TMPDIR") from error
    return GpuCode(*(frozenset(number for kind, number in found if kind == wanted) for wanted in (_MACHINE, _PTX)))


def _parts(file: int) -> Iterator[tuple[int, int]]:
    """Yield kind and architecture of each part of a library's fat binaries."""
    try:
        content = mmap.mmap(file, 0, access=mmap.ACCESS_READ)
    except ValueError:  # an empty file
        return
    with content:
        at = content.find(_MAGIC)
        while 0 <= at <= len(content) - _HEADER:
            _, _, header, size = _CONTAINER.unpack_from(content, at)
            if header == _HEADER:  # else the number stands there by chance
                yield from _parts_of(content, at + header, min(len(content), at + header + size))
            at = content.find(_MAGIC, at + 1)


def _parts_of(content: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int]]:
    while at <= end - _PART.size:
        kind, _, header, size, architecture = _PART.unpack_from(content, at)
        if header < _PART.size:
            return
        yield kind, architecture
        at += header + size


def refuse_without_gpu_code(packages: dict[str, Package], target: Target) -> None:
    """Raise UsageError for a wheel that has code for GPUs, but none for any of the device's."""
    for package in packages.values():
        if package.is_source or not target.gpus:
            continue
        code = gpu_code(package.path)
        if code.is_any and not any(code.runs_on(each) for each in target.gpus.values()):
            wanted = " or ".join(f"{each} ({board})" for board, each in target.gpus.items())
            raise UsageError(
                f"{package.path.name} has code for GPUs of compute capability {code}; {target.title} has {wanted}: "
                f"put one into --wheels that was built for it"
            )
