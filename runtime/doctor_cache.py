"""What `edgeseg doctor` finds of TensorRT engines that were built earlier: in the cache, and beside models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgeseg.errors import EdgesegError
from edgeseg.runtime.engine_card import EngineCard, file_sha256, is_engine
from edgeseg.runtime.engine_place import engine_cache
from edgeseg.runtime.findings import Finding, Patient


def kept_engines(patient: Patient) -> Iterator[Finding]:
    """Say of each engine whether it holds here; a stale one is built again at the next start, which takes minutes.

    Looked at are the cache, and what the user has named: engines, ONNX files with the engine beside, folders of them.
    """
    for engine, onnx in dict(_engines(patient)).items():
        if not engine.exists():
            yield Finding(
                "engine file", "note", f"{onnx}: no engine yet", f"edgeseg engine build {onnx}, or at the start"
            )
            continue
        stale = _why_stale(patient, engine, onnx)
        if stale:
            remedy = (
                f"edgeseg engine build {onnx}" if onnx else f"build it again from its ONNX file, or delete {engine}"
            )
            yield Finding("engine file", "warning", f"{engine}: {stale}", remedy)
        elif patient.gpu is None:
            yield Finding("engine file", "note", f"{engine}: whole, but here is no GPU to run it")
        else:
            yield Finding("engine file", "good", f"{engine}: holds")


def _engines(patient: Patient) -> Iterator[tuple[Path, Path | None]]:
    for engine in sorted(engine_cache().glob("*.engine")):
        yield engine, None
    for path in patient.models:
        inside = sorted(each for each in path.iterdir() if is_engine(each)) if path.is_dir() else [path]
        for each in inside:
            if is_engine(each):
                onnx = each.with_suffix(".onnx")
                yield each, onnx if onnx.exists() else None
            else:
                yield each.with_suffix(".engine"), each


def _why_stale(patient: Patient, engine: Path, onnx: Path | None) -> str | None:
    """Say what makes it stale, in the words that fit the user's next step; None if nothing does."""
    try:
        card = EngineCard.read(engine)
        if file_sha256(engine) != card.engine_sha256:
            return "not the file that was built"
        if onnx and file_sha256(onnx) != card.key.onnx_sha256:
            return f"built from another {onnx.name}"
    except EdgesegError as error:
        return str(error)
    library = patient.probe(card.key.library)
    built_by = f"built by {card.key.library} {card.key.version}"
    if "error" in library:
        return f"{built_by}, which cannot be loaded here"
    if library["version"] != card.key.version:
        return f"{built_by}, here is {library['version']}"
    gpu = patient.gpu
    if gpu is None or card.key.fits(gpu):
        return None
    return f"built for {card.key.gpu} {card.key.compute_capability}, here is {gpu}"
