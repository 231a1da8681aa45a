"""`<engine>.json`: what a TensorRT engine was built from, by what and for what, and the spec of its model.

The engine itself is a plain file, which trtexec loads too.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from edgeseg.core.errors import ModelError, one_line
from edgeseg.core.json_text import read_json_object
from edgeseg.core.spec import ModelSpec
from edgeseg.core.spec_values import typed
from edgeseg.runtime.machine.gpu import Gpu

FORMAT = 1
ANY = "any"
_CHUNK = 1 << 20
_EXPECTED = "the manifest that edgeseg engine build writes: build the engine again"


@dataclass(frozen=True)
class EngineKey:
    """What an engine holds for. Another value of any of these wants another engine.

    Attributes:
        onnx_sha256: of the ONNX file.
        library, version: `tensorrt` or `tensorrt_rtx`, and its version.
        gpu, multiprocessors: name and their number: an AGX Orin and an Orin NX are both called `Orin`. `any` and 0
            where TensorRT-RTX built for every GPU of the compute capabilities.
        compute_capability: of the GPU; for TensorRT-RTX without one a list, or `any`.
        precision: of the graph.
        tf32: whether float32 products are rounded to TF32.
    """

    onnx_sha256: str
    library: str
    version: str
    gpu: str
    multiprocessors: int
    compute_capability: str
    precision: str
    tf32: bool

    def differences(self, other: EngineKey, ignore: tuple[str, ...] = ()) -> list[str]:
        """Return what differs, a text each: `version 10.3.0, here 10.7.0`."""
        mine, theirs = asdict(self), asdict(other)
        different = [key for key in mine if mine[key] != theirs[key] and key not in ignore]
        return [f"{key} {_short(mine[key])}, here {_short(theirs[key])}" for key in different]

    def fits(self, gpu: Gpu) -> bool:
        """Whether an engine of this key runs on a device."""
        if self.gpu == ANY:
            return self.compute_capability == ANY or gpu.compute_capability in self.compute_capability.split(",")
        own = (self.gpu, self.multiprocessors, self.compute_capability)
        return own == (gpu.name, gpu.multiprocessors, gpu.compute_capability)


@dataclass(frozen=True)
class EngineManifest:
    """An engine's key, its file's SHA-256, its model's spec, and the SHA-256 of the graph that it was built from.

    The last is empty in manifests of an earlier edgeseg.
    """

    key: EngineKey
    engine_sha256: str
    spec: ModelSpec
    graph_sha256: str = ""

    def to_json(self) -> str:
        spec = self.spec.to_document()
        values = {
            "format": FORMAT,
            "key": asdict(self.key),
            "engine_sha256": self.engine_sha256,
            "graph_sha256": self.graph_sha256,
            "spec_sha256": _document_sha256(spec),
            "spec": spec,
        }
        return json.dumps(values, indent=1) + "\n"

    @classmethod
    def read(cls, engine: Path) -> EngineManifest:
        """Read the manifest beside an engine. Raises ModelError."""
        path = manifest_path(engine)
        document = read_json_object(path, _EXPECTED, ModelError)
        try:
            if document["format"] != FORMAT:
                raise ModelError(f"format {one_line(document['format'], 40)}; expected {FORMAT}")
            kinds: dict[Any, type] = {"str": str, "int": int, "bool": bool}
            values: dict[str, Any] = {
                each.name: typed(document["key"][each.name], kinds[each.type], each.name) for each in fields(EngineKey)
            }
            if document.get("spec_sha256", sha := _document_sha256(document["spec"])) != sha:
                raise ModelError("damaged: its spec is not the one that was written")
            spec = ModelSpec.from_document(document["spec"], "spec")
            graph = typed(document.get("graph_sha256", ""), str, "graph_sha256")
            return cls(EngineKey(**values), typed(document["engine_sha256"], str, "engine_sha256"), spec, graph)
        except (ModelError, KeyError, TypeError) as error:
            raise ModelError(f"{path}: not whole ({error}); expected {_EXPECTED}") from error


def _document_sha256(document: Any) -> str:
    """Return the SHA-256 of a JSON document, however it is laid out."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def manifest_path(engine: Path) -> Path:
    return engine.with_name(f"{engine.name}.json")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file. Raises ModelError."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); give a file that can") from error
    return digest.hexdigest()


def why_stale(engine: Path, wanted: EngineKey) -> str | None:
    """Say why an engine cannot be used for a key: it is missing, of another key, or not whole. None if it can."""
    if not os.path.isfile(engine):
        return "there is none yet"
    try:
        manifest = EngineManifest.read(engine)
        if file_sha256(engine) != manifest.engine_sha256:
            return "the file is not the one that was built"
    except ModelError as error:
        return str(error)
    return "; ".join(manifest.key.differences(wanted)) or None


def _short(value: Any) -> str:
    return f"{value[:12]}..." if isinstance(value, str) and len(value) == 64 else str(value)
