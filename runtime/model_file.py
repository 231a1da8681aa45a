"""A model as a file, with its spec: from `--spec`, from the file itself, or from the copy beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeseg.errors import ModelError
from edgeseg.runtime.onnx_metadata import onnx_metadata
from edgeseg.spec import METADATA_KEY, ModelSpec


@dataclass(frozen=True)
class ModelFile:
    """An ONNX file, and what a program must know to feed it and to read its output."""

    path: Path
    spec: ModelSpec


def open_model_file(path: Path, spec: Path | None = None) -> ModelFile:
    """Find the spec of a model.

    Args:
        path: an ONNX file.
        spec: a spec file; without one the spec in the file counts, then `<file>.spec.json` beside it.

    Raises:
        ModelError: the file or its spec cannot be used.
    """
    metadata = onnx_metadata(path)
    if spec is not None:
        return ModelFile(path, ModelSpec.read(spec))
    if METADATA_KEY in metadata:
        return ModelFile(path, ModelSpec.from_json(metadata[METADATA_KEY], str(path)))
    beside = path.with_name(f"{path.name}.spec.json")
    if beside.is_file():
        return ModelFile(path, ModelSpec.read(beside))
    raise ModelError(
        f"{path}: holds no edgeseg model spec; for a model from elsewhere give one by --spec FILE, "
        f"which edgeseg inspect {path.name} --write-spec FILE drafts"
    )
