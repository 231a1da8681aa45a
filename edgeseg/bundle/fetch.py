"""A device's packages, gathered into a folder on another computer: pip downloads, for that Python and that platform."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from edgeseg.bundle.gpu_code import refuse_without_gpu_code
from edgeseg.bundle.packages import (
    Package,
    build_needs,
    check_packages,
    fits,
    needs,
    read_package,
    refuse_foreign,
    requirement_for,
)
from edgeseg.bundle.pip import build_isolation, run_pip
from edgeseg.bundle.targets import MACHINE, Target
from edgeseg.core.errors import UsageError

_ROUNDS = 10  # chains of packages that need packages are not that long
_CPU_RUNTIME, _GPU_RUNTIME = "onnxruntime", "onnxruntime-gpu"  # both are the module onnxruntime


def gather(
    target: Target, backend: str, folder: Path, offered: Path | None, notice: Callable[[str], None]
) -> dict[str, Package]:
    """Fill a folder that holds edgeseg's wheel with all that it needs on the device, and what the device's table wants.

    Args:
        target: the device.
        backend: what runs the model there.
        folder: where the files go.
        offered: a folder of wheels that count before the index; those for other devices are passed over.
        notice: takes one-line remarks.

    Returns:
        The packages by name.

    Raises:
        UsageError: pip has or finds no package that fits, they do not go together, or one has no code for the GPU.
    """
    if offered:
        _take(offered, target, folder, notice)
    held = _read(folder)
    if backend == "onnxruntime-cuda" and _GPU_RUNTIME not in held:
        raise UsageError(
            f"backend {backend} needs {_GPU_RUNTIME}, which is in no bundle unasked; put a wheel of it for {MACHINE}, "
            f"Python {target.python_text}, into --wheels"
        )
    for _ in range(_ROUNDS):
        lacking = _lacking(held, target, backend)
        if not lacking:
            break
        sources = [text for name, text in lacking.items() if name in target.sources]
        wheels = [text for name, text in lacking.items() if name not in target.sources]
        for asked, is_source in ((wheels, False), (sources, True)):
            if asked:
                notice(f"downloading {', '.join(asked)}")
                _download(asked, target, folder, is_source)
        held = _read(folder)
    check_packages(held, target)
    refuse_without_gpu_code(held, target)
    return held


def wanted_packages(target: Target, backend: str) -> list[str]:
    """Return what a device's table wants; for the CPU alone nothing has to be compiled."""
    return [name for name in target.wanted if backend != "onnxruntime-cpu" or name not in target.sources]


def _take(offered: Path, target: Target, folder: Path, notice: Callable[[str], None]) -> None:
    found = sorted(offered.glob("*.whl"))
    if not found:
        raise UsageError(f"--wheels {offered}: holds no .whl file; expected a folder of wheels")
    for path in found:
        if fits(path, target):
            shutil.copyfile(path, folder / path.name)
        else:
            notice(f"passed over: {path.name} is not for {target.title}, Python {target.python_text}")


def _read(folder: Path) -> dict[str, Package]:
    held: dict[str, Package] = {}
    for path in sorted(folder.iterdir()):
        package = read_package(path)
        if package.name in held:
            raise UsageError(f"{held[package.name].path.name} and {path.name} are one package; keep one in --wheels")
        held[package.name] = package
    if {_CPU_RUNTIME, _GPU_RUNTIME} <= held.keys():
        raise UsageError(f"{_CPU_RUNTIME} and {_GPU_RUNTIME} overwrite each other; keep one in --wheels")
    return held


def _lacking(held: dict[str, Package], target: Target, backend: str) -> dict[str, str]:
    """Return what to ask pip for, by name."""
    asked = {name: f"{name}=={target.pins[name]}" for name in wanted_packages(target, backend)}
    if _GPU_RUNTIME in held:
        asked.pop(_CPU_RUNTIME, None)
    for need in (*needs(held.values(), target), *build_needs(held.values(), target)):
        refuse_foreign(need.name, f"{need.name}, which {need.package.path.name} needs,", target)
        asked.setdefault(need.name, requirement_for(need, target))
    return {name: text for name, text in asked.items() if name not in held}


def pip_options(target: Target) -> list[str]:
    """Return pip's options for wheels of the device; pip takes no wheel of an older glibc unless that is named too."""
    platforms = [part for platform in target.platforms for part in ("--platform", platform)]
    return ["--implementation", "cp", "--python-version", target.python_text, *platforms]


def _download(asked: Sequence[str], target: Target, folder: Path, are_sources: bool) -> None:
    """Fetch packages without what they need: pip would judge that by its own Python."""
    names = [text.partition("=")[0] for text in asked] if are_sources else []
    as_source = ["--no-binary", ",".join(names), *build_isolation()] if names else []
    options = ["--no-deps", "--only-binary", ":all:", *as_source, *pip_options(target), "--dest", str(folder)]
    run_pip("download", *options, *asked, remedy="check the network, or put wheels that fit into --wheels")
