"""NVIDIA's JetPacks, read from the one table of them, jetson/jetpacks.tsv: their L4T, boards, CUDA and TensorRT."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import edgeseg

TABLE = "jetpacks.tsv"
GPUS = {"Orin": "8.7", "Thor": "11.0"}
"""Compute capability of each board's GPU; Thor's was 10.1 before CUDA 13 (docs.nvidia.com/cuda, 13.0 release notes)."""
_NONE = "-"


@dataclass(frozen=True)
class JetPack:
    """A row of the table; texts are as they stand there, and empty where nothing does.

    Attributes:
        name: for example `6.2`.
        l4t: the first Jetson Linux that it is.
        boards: whose GPU its TensorRT has code for, for example `Orin`.
        cuda, tensorrt, python: their versions.
        base: the image to build a container from.
        source: where all of this stands.
    """

    name: str
    l4t: str
    boards: tuple[str, ...]
    cuda: str
    tensorrt: str
    python: str
    base: str
    source: str

    @property
    def major(self) -> str:
        """What `edgeseg bundle --jetpack` says."""
        return self.name.partition(".")[0]

    @property
    def is_confirmed(self) -> bool:
        return not self.source.startswith("unconfirmed")

    @property
    def parser(self) -> str:
        """Its TensorRT by the name that the export's rules have for it (edgeseg.export.tensorrt_versions)."""
        major, minor = numbers(self.tensorrt)[:2]
        return f"TensorRT {major}" if major >= 11 else f"TensorRT {major}.{minor}"

    def is_for(self, board: str) -> bool:
        """Whether a board, `Orin` or its full name, is among its own."""
        return any(set(each.split()) <= set(board.split()) for each in self.boards)


def numbers(version: str) -> tuple[int, ...]:
    """Return a version's numbers; those of anything else are left out.

    >>> numbers("10.13.2+x")
    (10, 13, 2)
    """
    found = []
    for part in version.partition("+")[0].split("."):
        if not part.isdigit():
            break
        found.append(int(part))
    return tuple(found)


@cache
def jetpacks() -> tuple[JetPack, ...]:
    """Return every row, the oldest first."""
    text = (Path(edgeseg.__file__).parent / "jetson" / TABLE).read_text(encoding="utf-8")
    return tuple(_row(line) for line in text.splitlines() if line and not line.startswith("#"))


def _row(line: str) -> JetPack:
    cells = ["" if cell == _NONE else cell for cell in line.split("\t")]
    name, l4t, boards, *rest = cells
    return JetPack(name, l4t, tuple(boards.split(",")), *rest)


def jetpack_of(l4t: str) -> JetPack | None:
    """Return the row of a Jetson Linux release such as `36.4.3`; None where it is none of the table's."""
    release, found = numbers(l4t), None
    for row in jetpacks():
        first = numbers(row.l4t)
        if first and release[: min(2, len(first))] == first[:2] and first <= release:
            found = row
    return found


def major_of(l4t: str) -> str:
    """Return JetPack's major version by the release's; empty where it is none of the table's."""
    row = jetpack_of(l4t)
    if row:
        return row.major
    release = numbers(l4t)[:1]
    return next((row.major for row in jetpacks() if numbers(row.l4t)[:1] == release), "") if release else ""


def names_of(rows: Iterator[JetPack] | tuple[JetPack, ...]) -> str:
    return ", ".join(row.name for row in rows)


def no_code_for(tensorrt: str, compute_capability: str) -> str | None:
    """Say that a TensorRT has no code for a Jetson's GPU, and what has; None where it has, or is not known to lack it.

    From 10.13 (CUDA 13) to before 10.16 TensorRT's only aarch64 build has none for Orin (NVIDIA-ISAAC-ROS/
    isaac-ros-cli#22; TensorRT 10.16.1's release notes): an engine cannot be built.
    """
    board = next((name for name, capability in GPUS.items() if capability == compute_capability), None)
    earlier = [row for row in jetpacks() if numbers(row.tensorrt)[:2] <= numbers(tensorrt)[:2]]
    if board is None or not earlier:
        return None
    nearest = max(earlier, key=lambda row: numbers(row.tensorrt))
    if any(board in each.split() for each in nearest.boards):
        return None
    later = [row for row in jetpacks() if board in row.boards and numbers(row.tensorrt) > numbers(nearest.tensorrt)]
    remedy = (
        f"{later[0].tensorrt} has: JetPack {later[0].name}, in a container {later[0].base}" if later else "update it"
    )
    return (
        f"TensorRT {tensorrt}, of JetPack {nearest.name} for {' and '.join(nearest.boards)}, has no code for "
        f"{board}'s GPU (compute capability {compute_capability}); {remedy}"
    )


def changes(before: JetPack, after: JetPack) -> list[str]:
    """Return what an update from one JetPack to another breaks of an installation, one line each, with what to do."""
    found = []
    if before.python != after.python:
        found.append(
            f"Python {before.python} becomes {after.python}: the environment does not start; "
            f"install a bundle made by --jetpack {after.major}"
        )
    if before.tensorrt != after.tensorrt:
        found.append(f"TensorRT {before.tensorrt} becomes {after.tensorrt}: engines are built anew")
    return found


def main() -> None:
    """Print what keeps this computer's TensorRT from its GPU, and end with 5; the container's entry point calls it."""
    from edgeseg.runtime.machine.gpu import NoGpuError, find_gpu

    try:
        capability = find_gpu().compute_capability
    except NoGpuError:
        return  # what that means is for the engine to say
    if capability not in GPUS.values():
        return
    try:
        import tensorrt
    except ImportError:
        return
    reason = no_code_for(tensorrt.__version__, capability)
    if reason:
        print(f"edgeseg: {reason}", file=sys.stderr)
        sys.exit(5)


if __name__ == "__main__":
    main()
