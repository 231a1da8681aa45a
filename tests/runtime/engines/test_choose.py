"""Which engine is taken, why others were not, and what a vehicle may refuse."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeseg.core.errors import EngineError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.runtime.engines.cache import engine_path
from edgeseg.runtime.engines.choose import backend_class, load_engine, open_engine
from edgeseg.runtime.engines.manifest import EngineKey, EngineManifest, file_sha256
from edgeseg.runtime.engines.registry import BACKENDS
from edgeseg.runtime.engines.settings import EngineSettings
from edgeseg.runtime.machine.gpu import no_gpu
from tests.helpers.colour_model import COLOUR_SPEC

WriteModel = Callable[..., Path]
without_gpu = pytest.mark.skipif(not no_gpu(), reason="this computer has a GPU")


def test_every_backend_can_be_asked_without_its_library() -> None:
    program = (
        "import sys\nfrom edgeseg.runtime.engines.registry import BACKENDS\n"
        "from edgeseg.runtime.engines.choose import backend_class\n"
        "for name in BACKENDS:\n    print(name, backend_class(name).missing())\n"
        "assert not {'pycuda', 'tensorrt', 'tensorrt_rtx', 'openvino'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(BACKENDS)


@without_gpu
def test_auto_says_why_each_better_one_was_passed_over(write_model: WriteModel) -> None:
    said: list[str] = []
    with open_engine(write_model(), notice=said.append) as engine:
        assert engine.backend in ("openvino", "onnxruntime-cpu")
    (text,) = said
    assert text.startswith(f"backend {engine.backend}")
    assert "not tensorrt (no NVIDIA driver" in text
    assert "not onnxruntime-cuda (no NVIDIA driver" in text


@without_gpu
def test_a_required_gpu_that_is_not_there_is_an_error(write_model: WriteModel) -> None:
    with pytest.raises(EngineError, match="a GPU is required, and no engine works on one: tensorrt") as caught:
        load_engine(write_model(), EngineSettings(require_gpu=True))
    assert caught.value.exit_code == 5
    for backend in ("tensorrt", "onnxruntime-cuda"):
        with pytest.raises(EngineError, match=f"backend {backend}: no NVIDIA driver"):
            open_engine(write_model(), backend)
    with pytest.raises(UsageError, match="with a GPU required"):
        EngineSettings(backend="openvino", require_gpu=True)


def test_an_engine_that_is_too_slow_is_an_error(write_model: WriteModel) -> None:
    model = write_model(Size(1080, 1920))
    with open_engine(model, "onnxruntime-cpu", min_fps=1e-3) as engine:
        engine.warm_up(3)
    with (
        pytest.raises(EngineError, match="frames a second; expected at least 10000"),
        open_engine(model, "onnxruntime-cpu", min_fps=10_000.0) as engine,
    ):
        engine.warm_up(3)


def test_a_broken_model_is_said_and_not_passed_over(tmp_path: Path, write_model: WriteModel) -> None:
    path = write_model()
    path.write_bytes(path.read_bytes().replace(b"ArgMax", b"ArgMix"))
    done = subprocess.run(
        [sys.executable, "-m", "edgeseg.runtime", "scenes://?frames=2", "--model", str(path)],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 4
    assert "cannot load it" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_an_engine_lies_beside_its_model_or_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = EngineKey("ab" * 32, "tensorrt", "10.3.0", "Orin", 8, "8.7", "fp16", tf32=False)
    assert engine_path(tmp_path / "model.onnx", key) == tmp_path / "model.engine"
    monkeypatch.setattr(
        os, "access", lambda path, mode: False
    )  # root, who runs tests in containers, may write anywhere
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert engine_path(tmp_path / "model.onnx", key) == tmp_path / "cache/edgeseg/model-abababababababab.engine"
    engine = tmp_path / "model.engine"
    engine.write_bytes(b"an engine")
    engine.with_name("model.engine.json").write_text(EngineManifest(key, file_sha256(engine), COLOUR_SPEC).to_json())
    assert engine_path(tmp_path / "model.onnx", key) == engine  # one that came with the model is used
    for change, name in (({"version": "10.7.0"}, ""), ({"tf32": True}, "-tf32")):
        other = dataclasses.replace(key, **change)
        place = engine_path(tmp_path / "model.onnx", other)
        assert place == tmp_path / f"cache/edgeseg/model-abababababababab{name}.engine"


def test_the_class_of_each_backend_has_its_name() -> None:
    for name in BACKENDS:
        assert backend_class(name).backend == name
