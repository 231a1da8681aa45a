"""Where the engine of an ONNX file is kept."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from edgeseg.runtime.engines.manifest import EngineKey, why_stale


def engine_path(onnx: Path, key: EngineKey) -> Path:
    """Return the engine's path: beside the ONNX file, or in the user's cache.

    Beside it where it can be built there, and where the one that is there holds: a model that is installed by root is
    read by a service, whose engine must not stay stale for ever once TensorRT was updated. In the cache the name holds
    the model's hash and TF32, since models of one name, and cameras of other settings, meet there.
    """
    beside = onnx.with_suffix(".engine")
    if _can_be_replaced(beside) or why_stale(beside, key) is None:
        return beside
    return engine_cache() / f"{onnx.stem}-{key.onnx_sha256[:16]}{'-tf32' if key.tf32 else ''}.engine"


def engine_cache() -> Path:
    """Return the folder for engines whose models lie where nothing can be written; it need not be there yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgeseg"


def _can_be_replaced(path: Path) -> bool:
    path = path.resolve()
    return os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))


@contextlib.contextmanager
def build_lock(engine: Path) -> Iterator[None]:
    """Wait until no other process builds in the engine's folder: the services of several cameras start at one time."""
    held = None
    with contextlib.suppress(OSError):  # NFS locks no folders; whatever else is wrong, the build says
        engine.parent.mkdir(parents=True, exist_ok=True)
        held = os.open(engine.parent, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(held, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if held is not None:
            os.close(held)
