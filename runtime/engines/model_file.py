"""A model as a file, with its spec: from `--spec`, from the file itself, or from the copy beside it.

One comes with edgeseg, for a first try: it has seen nothing but drawn scenes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeseg.core.errors import ModelError, UsageError
from edgeseg.core.spec import METADATA_KEY, ModelSpec
from edgeseg.runtime.engines.graph_form import LOGITS
from edgeseg.runtime.engines.onnx_bytes import inner_shape, onnx_metadata
from edgeseg.runtime.engines.proven import change_of_graph, check_spec
from edgeseg.runtime.engines.registry import is_engine

if TYPE_CHECKING:
    from edgeseg.runtime.engines.manifest import EngineManifest
    from edgeseg.runtime.sources.source import Source

BUNDLED_MODEL = Path(__file__).parents[1] / "bundled" / "scenes.onnx"
"""FCN-8, compact encoder, 320x192, for frames of 1280x720; `make bundled-model` trains it and writes it here."""


@dataclass(frozen=True)
class ModelFile:
    """An ONNX file or a TensorRT engine, and what a program must know to feed it and to read its output.

    `remark` is what the user must be told of it: that its graph was changed since its proof.
    """

    path: Path
    spec: ModelSpec
    manifest: EngineManifest | None = None
    remark: str | None = None

    @property
    def onnx(self) -> Path:
        """The ONNX file. Raises ModelError for an engine, which TensorRT alone runs."""
        if self.manifest:
            raise ModelError(
                f"{self.path}: a TensorRT engine; other backends take the ONNX file that it was built from"
            )
        return self.path


def open_model_file(path: Path, spec: Path | None = None, accept_changed: bool = False) -> ModelFile:
    """Find the spec of a model, and hold the file against the checksums that the export, or the build, left.

    Args:
        path: an ONNX file, or an engine with its manifest beside it.
        spec: a spec file; without one the spec in the file counts, then `<file>.spec.json` beside it.
        accept_changed: take a graph that was changed after its proof, too.

    Raises:
        ModelError: the file or its spec cannot be used, or they do not belong together.
    """
    if is_engine(path):
        return _engine(path, spec)
    metadata = onnx_metadata(path)
    found = _spec(path, spec, metadata)
    remark = change_of_graph(path, metadata, accept_changed)
    if METADATA_KEY in metadata:  # else the names within it are not ours
        _check_classes(path, found)
    return ModelFile(path, found, remark=remark)


def _check_classes(path: Path, spec: ModelSpec) -> None:
    """Raise ModelError for a camera graph, which gives no scores, that has others than the spec's classes."""
    shape = inner_shape(path, LOGITS) or ()
    if len(shape) == 4 and shape[1] not in (None, len(spec.classes)):
        raise ModelError(
            f"{path}: scores {shape[1]} classes, its spec names {len(spec.classes)}; expected as many: correct the spec"
        )


def _spec(path: Path, spec: Path | None, metadata: Mapping[str, str]) -> ModelSpec:
    if spec is not None:
        return ModelSpec.read(spec)
    if METADATA_KEY in metadata:
        text = metadata[METADATA_KEY]
        check_spec(path, metadata, text)
        return ModelSpec.from_json(text, str(path))
    for file in (path, path.resolve()):  # a link may have another name than what it leads to
        beside = file.with_name(f"{file.name}.spec.json")
        if beside.is_file():
            return ModelSpec.read(beside)
    raise ModelError(
        f"{path}: holds no edgeseg model spec; for a model from elsewhere give one by --spec FILE, "
        f"which edgeseg inspect {path.name} --write-spec FILE drafts"
    )


def _engine(path: Path, spec: Path | None) -> ModelFile:
    from edgeseg.runtime.engines.manifest import EngineManifest, file_sha256  # an ONNX file starts without

    if not os.path.isfile(path):
        raise ModelError(f"{path}: no such file; build it by edgeseg engine build")
    manifest = EngineManifest.read(path)
    if file_sha256(path) != manifest.engine_sha256:
        raise ModelError(f"{path}: not the file that was built, but damaged or another; copy it or build it again")
    found = ModelSpec.read(spec) if spec else manifest.spec
    if len(found.classes) != len(manifest.spec.classes):
        raise ModelError(
            f"{spec}: {len(found.classes)} classes, {path} has {len(manifest.spec.classes)}; expected as many"
        )
    return ModelFile(path, found, manifest)


def model_for(model: Path | None, source: Source) -> Path:
    """Return the model that was given, or the bundled one for drawn scenes.

    Raises:
        UsageError: none was given for other pictures, of which the bundled one knows nothing.
    """
    if model is not None:
        return model
    if source.kind != "scenes":
        raise UsageError(
            f"no --model for {source.uri}; expected an ONNX file from edgeseg export, or any with --spec "
            "(the model that comes with edgeseg knows nothing but scenes://)"
        )
    return BUNDLED_MODEL
