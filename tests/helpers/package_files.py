"""Small Python packages as files: what a package index would give, for tests without one."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from edgeseg.bundle.targets import Target


def write_wheel(
    folder: Path,
    name: str,
    version: str,
    tag: str = "py3-none-any",
    requires: Sequence[str] = (),
    python: str = ">=3.10",
) -> Path:
    """Write a wheel that holds nothing but what it needs."""
    stem = f"{name.replace('-', '_')}-{version}"
    path = folder / f"{stem}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{stem}.dist-info/METADATA", _metadata(name, version, requires, python))
        archive.writestr(f"{stem}.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{stem}.dist-info/RECORD", "")
    return path


def write_source(
    folder: Path, name: str, version: str, builds_with: Sequence[str], requires: Sequence[str] = ()
) -> Path:
    """Write a source archive that says what it is built with."""
    path = folder / f"{name}-{version}.tar.gz"
    project = f"[build-system]\nrequires = {list(builds_with)!r}\n"
    with tarfile.open(path, "w:gz") as archive:
        for file, text in (("PKG-INFO", _metadata(name, version, requires)), ("pyproject.toml", project)):
            head = tarfile.TarInfo(f"{name}-{version}/{file}")
            head.size = len(text.encode())
            archive.addfile(head, io.BytesIO(text.encode()))
    return path


def write_index(folder: Path, target: Target) -> Path:
    """Write a folder with a wheel of each package in a device's table."""
    folder.mkdir()
    interpreter = f"cp{target.python[0]}{target.python[1]}"
    for name, version in target.pins.items():
        is_native = name in ("numpy", "onnxruntime", "pycuda")
        tag = f"{interpreter}-{interpreter}-manylinux_2_28_aarch64" if is_native else "py3-none-any"
        write_wheel(folder, name, version, tag, ["numpy>=1.21"] if name == "onnxruntime" else ())
    return folder


def _metadata(name: str, version: str, requires: Sequence[str], python: str = ">=3.10") -> str:
    needs = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Python: {python}\n{needs}"
