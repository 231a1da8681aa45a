"""An engine's manifest: when an engine may be used, and when it must be built again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from edgeseg.core.errors import ModelError
from edgeseg.runtime.engines.choose import open_engine
from edgeseg.runtime.engines.manifest import ANY, EngineKey, EngineManifest, file_sha256, manifest_path, why_stale
from edgeseg.runtime.machine.gpu import Gpu
from tests.helpers.colour_model import COLOUR_SPEC

KEY = EngineKey("a" * 64, "tensorrt", "10.3.0", "Orin", 8, "8.7", "fp16", tf32=False)
ORIN_NX, ORIN_AGX = Gpu("Orin", "8.7", 8, 8192, True), Gpu("Orin", "8.7", 16, 65536, True)


def write(path: Path, key: EngineKey = KEY) -> Path:
    path.write_bytes(b"an engine")
    manifest_path(path).write_text(EngineManifest(key, file_sha256(path), COLOUR_SPEC).to_json())
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    engine = write(tmp_path / "model.engine")
    assert EngineManifest.read(engine) == EngineManifest(KEY, file_sha256(engine), COLOUR_SPEC)
    assert why_stale(engine, KEY) is None


@pytest.mark.parametrize("change", [
    {"onnx_sha256": "b" * 64}, {"library": "tensorrt_rtx"}, {"version": "10.7.0"}, {"gpu": "Thor"},
    {"multiprocessors": 16}, {"compute_capability": "11.0"}, {"precision": "fp32"}, {"tf32": True},
])  # fmt: skip
def test_any_other_key_makes_it_stale_and_is_named(tmp_path: Path, change: dict[str, object]) -> None:
    reason = why_stale(write(tmp_path / "model.engine"), dataclasses.replace(KEY, **change))  # type: ignore[arg-type]
    assert reason is not None
    assert next(iter(change)) in reason


def test_a_file_that_is_not_the_one_that_was_built_is_stale(tmp_path: Path) -> None:
    assert why_stale(tmp_path / "none.engine", KEY) == "there is none yet"
    engine = write(tmp_path / "model.engine")
    engine.write_bytes(b"an engin")
    assert why_stale(engine, KEY) == "the file is not the one that was built"
    for text in ("", "{", "[]", json.dumps({"format": 1}), json.dumps({"format": 2})):
        manifest_path(write(engine)).write_text(text)
        assert "manifest" in (why_stale(engine, KEY) or "") or "format 2" in (why_stale(engine, KEY) or "")


def test_which_devices_it_fits() -> None:
    assert KEY.fits(ORIN_NX)
    assert not KEY.fits(ORIN_AGX)  # of the same name and compute capability
    portable = dataclasses.replace(KEY, gpu=ANY, multiprocessors=0, compute_capability="8.6,8.7")
    assert portable.fits(ORIN_AGX)
    assert not portable.fits(dataclasses.replace(ORIN_AGX, compute_capability="8.9"))
    assert dataclasses.replace(portable, compute_capability=ANY).fits(ORIN_AGX)


def test_another_backend_says_that_it_wants_the_onnx_file(tmp_path: Path) -> None:
    engine = write(tmp_path / "model.engine")
    with pytest.raises(ModelError, match="take the ONNX file"):
        open_engine(engine, "onnxruntime-cpu")
    manifest_path(engine).unlink()
    with pytest.raises(ModelError, match="edgeseg engine build"):
        open_engine(engine)
    with pytest.raises(ModelError, match="no such file"):
        open_engine(tmp_path / "none.engine")
