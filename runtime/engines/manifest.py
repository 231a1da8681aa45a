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

from edgeseg.core.errors import ModelError
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.machine.gpu import Gpu

FORMAT = 1
SUFFIXES = (".engine", ".plan", ".trt")
ANY = "any"
_CHUNK = 1 << 20


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
    """An engine's key, its file's hash and its model's spec."""

    key: EngineKey
    engine_sha256: str
    spec: ModelSpec

    def to_json(self) -> str:
        spec = json.loads(self.spec.to_json())
        values = {"format": FORMAT, "key": asdict(self.key), "engine_sha256": self.engine_sha256, "spec": spec}
        return json.dumps(values, indent=1) + "\n"

    @classmethod
    def read(cls, engine: Path) -> EngineManifest:
        """Read the manifest beside an engine. Raises ModelError."""
        path = manifest_path(engine)
        try:
            document = json.loads(path.read_text())
            if document["format"] != FORMAT:
                raise ModelError(f"{path}: format {document['format']}; expected {FORMAT}: build the engine again")
            key = EngineKey(**{each.name: document["key"][each.name] for each in fields(EngineKey)})
            spec = ModelSpec.from_json(json.dumps(document["spec"]), str(path))
            return cls(key, str(document["engine_sha256"]), spec)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"{path}: no readable manifest of an engine ({error}); build it by edgeseg engine build"
            ) from error


def manifest_path(engine: Path) -> Path:
    return engine.with_name(f"{engine.name}.json")


def is_engine(path: Path) -> bool:
    """Whether a path is named as engines are."""
    return path.suffix.lower() in SUFFIXES


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
