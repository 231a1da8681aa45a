"""Engines built for real by TensorRT-RTX, which needs no GPU for it; what other versions want, by their numbers."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edgeseg.commands.main import cli
from edgeseg.core.errors import EngineError
from edgeseg.runtime.engines import tensorrt_builder
from edgeseg.runtime.engines.manifest import EngineManifest, why_stale
from edgeseg.runtime.engines.tensorrt_library import creation_flags, library_name, precision_flags
from edgeseg.runtime.machine.gpu import no_gpu
from tests.helpers.colour_model import COLOUR_SPEC, write_colour_model
from tests.helpers.foreign_models import foreign_model
from tests.helpers.gpu import tensorrt_stand_in

needs_rtx = pytest.mark.skipif(
    library_name() != "tensorrt_rtx", reason="tensorrt_rtx is not installed: NVIDIA has wheels for x86-64 Linux"
)


def build(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["engine", "build", *(str(each) for each in arguments)])


@needs_rtx
def test_an_engine_and_its_card_are_built_and_kept_while_they_hold(tmp_path: Path) -> None:
    path = write_colour_model(tmp_path / "model.onnx")
    engine = tmp_path / "model.engine"
    done = build(path)
    assert done.exit_code == 0, done.output
    manifest = EngineManifest.read(engine)
    assert (manifest.spec.classes.names, manifest.key.library) == (COLOUR_SPEC.classes.names, "tensorrt_rtx")
    assert engine.stat().st_size > 1000
    built = engine.stat().st_mtime_ns
    assert "nothing to do" in build(path, "--if-stale").output
    assert engine.stat().st_mtime_ns == built
    shown = CliRunner().invoke(cli, ["inspect", str(engine), "--json", str(tmp_path / "found.json")])
    assert "classes: blue, green, red" in shown.output
    assert json.loads((tmp_path / "found.json").read_text())["key"]["onnx_sha256"] == manifest.key.onnx_sha256


@needs_rtx
def test_a_changed_model_or_a_broken_engine_is_built_again(tmp_path: Path) -> None:
    path = write_colour_model(tmp_path / "model.onnx")
    engine = tmp_path / "model.engine"
    assert build(path).exit_code == 0
    for spoil in (
        lambda: engine.write_bytes(engine.read_bytes()[:-1]),
        lambda: write_colour_model(path, name="another"),
        engine.unlink,
    ):
        spoil()
        assert "built in" in build(path, "--if-stale").output
        assert why_stale(engine, EngineManifest.read(engine).key) is None


AS_A_SERVICE = """
import os, sys
from pathlib import Path
from edgeseg.runtime.engines.settings import EngineSettings
from edgeseg.runtime.engines.model_file import open_model_file
from edgeseg.runtime.engines.backends.tensorrt import _built_if_stale
from edgeseg.runtime.engines.tensorrt_library import library
assert not os.access(Path(sys.argv[1]).parent, os.W_OK)
print(_built_if_stale(open_model_file(Path(sys.argv[1])), EngineSettings(), library(), None))
"""


@needs_rtx
@pytest.mark.skipif(not no_gpu(), reason="this computer has a GPU")
def test_a_stale_engine_that_cannot_be_written_is_built_anew_in_the_cache_once_for_all_cameras(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    path = write_colour_model(folder / "model.onnx")
    engine, cache = path.with_suffix(".engine"), tmp_path / "cache"
    assert build(path, "--tf32").exit_code == 0
    earlier = engine.read_bytes()
    folder.chmod(0o555)

    def camera() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", AS_A_SERVICE, str(path)]
        if os.geteuid() == 0:  # whose right to write anywhere the service has not
            command = ["setpriv", "--bounding-set=-dac_override", *command]
        environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)

    said = [each.communicate(timeout=100) for each in [camera(), camera()]]
    folder.chmod(0o755)
    (built,) = cache.glob("edgeseg/model-*.engine")
    assert [out for out, _ in said] == [f"{built}\n"] * 2, said
    assert sum("building the engine" in errors for _, errors in said) == 1, said
    assert why_stale(built, dataclasses.replace(EngineManifest.read(engine).key, tf32=False)) is None
    assert engine.read_bytes() == earlier


@needs_rtx
def test_a_foreign_model_with_a_free_batch_is_fixed(tmp_path: Path) -> None:
    path = foreign_model(tmp_path / "foreign.onnx", COLOUR_SPEC, batch="N")
    done = build(path, "--spec", path.with_suffix(".json"))
    assert done.exit_code == 0, done.output
    assert EngineManifest.read(tmp_path / "foreign.engine").spec.tensors.output == "scores"


@needs_rtx
def test_what_is_wrong_is_said_in_one_line_and_the_earlier_engine_stays(tmp_path: Path) -> None:
    path = write_colour_model(tmp_path / "model.onnx")
    engine = tmp_path / "model.engine"
    engine.write_bytes(b"an earlier engine")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(path.read_bytes().replace(b"ArgMax", b"ArgMix"))

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "edgeseg", "engine", "build", *map(str, arguments), "--out", str(engine)]
        return subprocess.run(command, capture_output=True, text=True, timeout=100)

    for code, said, arguments in (
        (4, "refuses it", [broken]),
        (2, "knows no SM20; expected some of", [path, "--compute-capability", "2.0"]),
        (2, "expected 8.6, or a list", [path, "--compute-capability", "orin"]),
        (4, "no such file", [tmp_path / "none.onnx"]),
        (2, "cannot be written", [path, "--timing-cache", f"{engine}/cache"]),
    ):
        done = call(*arguments)
        assert done.returncode == code, done.stderr
        assert said in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
    assert engine.read_bytes() == b"an earlier engine"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["broken.onnx", "model.engine", "model.onnx"]


@needs_rtx
def test_a_full_disk_leaves_the_earlier_engine_whole(tmp_path: Path) -> None:
    path = write_colour_model(tmp_path / "model.onnx")
    engine = tmp_path / "model.engine"
    engine.write_bytes(b"an earlier engine")
    line = f"ulimit -f 2; exec {sys.executable} -m edgeseg engine build {path}"  # 2 KB stand for the full disk
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=100)
    assert done.returncode == 2, done.stderr
    assert "cannot be written" in done.stderr
    assert engine.read_bytes() == b"an earlier engine"


@pytest.mark.skipif(not no_gpu(), reason="this computer has a GPU")
def test_tensorrt_itself_says_that_it_needs_a_gpu(tmp_path: Path) -> None:
    """A module of that name stands for JetPack's: the driver is asked before it is used."""
    (tmp_path / "tensorrt.py").write_text("__version__ = '10.3.0'\n")
    path = write_colour_model(tmp_path / "model.onnx")
    done = subprocess.run(
        [sys.executable, "-m", "edgeseg", "engine", "build", str(path)],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(tmp_path)}, timeout=100,
    )  # fmt: skip
    assert done.returncode == 5
    assert done.stderr.startswith("edgeseg: no NVIDIA driver here")
    assert not (tmp_path / "model.engine").exists()


def test_a_builder_that_cannot_be_had_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(logger: object) -> None:
        raise TypeError("pybind11::init(): factory function\nreturned nullptr")

    trt = SimpleNamespace(__name__="tensorrt", __version__="10.3.0", Builder=none, ILogger=tensorrt_stand_in.ILogger)
    monkeypatch.setattr(tensorrt_builder, "library", lambda: trt)
    monkeypatch.setattr(tensorrt_builder, "find_gpu", lambda: tensorrt_stand_in.GPU)
    done = build(write_colour_model(tmp_path / "model.onnx"))
    assert isinstance(done.exception, EngineError)
    assert str(done.exception).startswith("TensorRT 10.3.0 makes no builder (pybind11::init(): factory function ret")


def version(name: str, text: str) -> Any:
    flags = SimpleNamespace(EXPLICIT_BATCH=0, STRONGLY_TYPED=1)
    return SimpleNamespace(__name__=name, __version__=text, NetworkDefinitionCreationFlag=flags)


@pytest.mark.parametrize(
    ("name", "text", "creation", "fp16", "int8"),
    [
        ("tensorrt", "8.6.2.3", 1, ["FP16"], ["INT8"]),
        ("tensorrt", "10.3.0", 2, [], []),
        ("tensorrt", "10.13.2", 2, [], []),
        ("tensorrt", "11.0.0", 0, [], []),
        ("tensorrt_rtx", "1.7.1.116", 0, [], []),
    ],
)
def test_each_version_gets_the_flags_that_it_wants(
    name: str, text: str, creation: int, fp16: list[str], int8: list[str]
) -> None:
    trt = version(name, text)
    assert creation_flags(trt) == creation
    assert precision_flags(trt, "fp32") == []
    assert (precision_flags(trt, "fp16"), precision_flags(trt, "int8")) == (fp16, int8)
