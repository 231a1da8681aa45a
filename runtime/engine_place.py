"""Where the engine of an ONNX file is kept."""

from __future__ import annotations

import os
from pathlib import Path

from edgeseg.runtime.engine_card import EngineKey


def engine_place(onnx: Path, key: EngineKey) -> Path:
    """Return the engine's path: beside the ONNX file, or in the user's cache where nothing can be written there.

    In the cache the name holds the key's hash, since models of one name meet there.
    """
    beside = onnx.with_suffix(".engine")
    if beside.exists() or os.access(onnx.resolve().parent, os.W_OK):
        return beside
    return engine_cache() / f"{onnx.stem}-{key.onnx_sha256[:16]}.engine"


def engine_cache() -> Path:
    """Return the folder for engines whose models lie where nothing can be written; it need not be there yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgeseg"
