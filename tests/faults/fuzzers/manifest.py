"""`<engine>.json`, beside an engine."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from edgeseg.runtime.engines.manifest import EngineKey, EngineManifest, why_stale
from tests.faults.fuzzing import Fuzzer
from tests.faults.mutate import json_text
from tests.helpers.colour_model import COLOUR_SPEC

_KEY = EngineKey("0" * 64, "tensorrt", "10.3.0", "Orin", 8, "8.7", "fp32", False)


class ManifestFuzzer(Fuzzer):
    """Read as at the start of a camera: whether the engine beside it still holds."""

    codes = frozenset({4})

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._engine = folder / "model.engine"
        self._engine.write_bytes(b"engine")
        self._valid = json.loads(EngineManifest(_KEY, "0" * 64, COLOUR_SPEC).to_json())
        (folder / "model.engine.json").touch()

    def make(self, draw: Random) -> bytes:
        return json_text(self._valid, draw).encode(errors="surrogatepass")

    def use(self, made: bytes) -> str:
        (self.folder / "model.engine.json").write_bytes(made)
        shown = why_stale(self._engine, _KEY) or ""
        EngineManifest.read(self._engine)
        return shown
