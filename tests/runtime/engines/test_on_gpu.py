"""On an NVIDIA GPU: masks as the CPU's, memory given back, engines built, kept and rebuilt. `make test-gpu`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeseg.core.errors import EdgesegError, EngineError, ModelError
from edgeseg.runtime.engines.choose import backend_class, load_engine
from edgeseg.runtime.engines.manifest import EngineManifest, manifest_path
from edgeseg.runtime.engines.registry import GPU_BACKENDS
from edgeseg.runtime.engines.settings import EngineSettings
from edgeseg.runtime.engines.tensorrt_library import check_gpu_code, library
from edgeseg.runtime.machine.gpu import find_gpu, no_gpu
from tests.helpers.colour_model import COLOUR_SPEC, VIDEO_SIZE, write_colour_model
from tests.helpers.foreign_models import foreign_model, noise

pytestmark = pytest.mark.gpu
EQUAL = 0.9999  # of pixels, as the export's proof asks of fp32


@pytest.fixture(autouse=True)
def _gpu() -> None:
    """A GPU test that finds no GPU fails: skipped, it would be taken for passed."""
    reason = no_gpu()
    if reason:
        pytest.fail(f"make test-gpu needs an NVIDIA GPU: {reason}")


@pytest.fixture(params=GPU_BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    reason = lacking(name)
    if reason:
        pytest.skip(f"{name}: {reason}")
    return name


def lacking(name: str) -> str | None:
    """Return what of this computer keeps a backend from working; TensorRT-RTX does not know every GPU."""
    reason = backend_class(name).missing()
    if reason is None and name == "tensorrt":
        try:
            check_gpu_code(library(), find_gpu())
        except EngineError as error:
            return str(error)
    return reason


def frames(count: int = 4) -> list[NDArray[np.uint8]]:
    picture = noise(VIDEO_SIZE)
    return [np.ascontiguousarray(np.roll(picture, 7 * index, axis=1)) for index in range(count)]


def free_memory_mb() -> int:
    """Ask the driver, with a context of its own kept by nobody."""
    program = (
        "import ctypes; d = ctypes.CDLL('libcuda.so.1'); c, v = ctypes.c_void_p(), ctypes.c_int(); d.cuInit(0)\n"
        "d.cuDeviceGet(ctypes.byref(v), 0); d.cuDevicePrimaryCtxRetain(ctypes.byref(c), v); d.cuCtxPushCurrent_v2(c)\n"
        "f, t = ctypes.c_size_t(), ctypes.c_size_t(); d.cuMemGetInfo_v2(ctypes.byref(f), ctypes.byref(t))\n"
        "print(f.value >> 20)"
    )
    return int(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)


def test_at_least_one_backend_works_here() -> None:
    assert any(lacking(name) is None for name in GPU_BACKENDS), [lacking(name) for name in GPU_BACKENDS]


@pytest.mark.parametrize("cuda_graph", [True, False])
def test_the_masks_are_the_cpu_s(tmp_path: Path, backend: str, cuda_graph: bool) -> None:
    path = write_colour_model(tmp_path / "model.onnx", with_confidence=True)
    settings = EngineSettings(backend=backend, cuda_graph=cuda_graph)
    with (
        load_engine(path, EngineSettings(backend="onnxruntime-cpu")) as cpu,
        load_engine(path, settings) as gpu,
    ):
        gpu.warm_up(3)
        results = [gpu.run(frame) for frame in frames()]  # each is kept: none may be overwritten by the next
        for frame, result in zip(frames(), results, strict=True):
            wanted = cpu.run(frame)
            assert np.mean(result.class_map == wanted.class_map) >= EQUAL
            assert wanted.confidence is not None
            assert result.confidence is not None
            assert np.abs(result.confidence.astype(int) - wanted.confidence).max() <= 1
            assert 0 < result.inference_ms < 1000
        assert gpu.device == find_gpu().name


def test_a_foreign_model_runs(tmp_path: Path, backend: str) -> None:
    path = foreign_model(tmp_path / "foreign.onnx", COLOUR_SPEC)
    spec = path.with_suffix(".json")
    with (
        load_engine(path, EngineSettings(backend="onnxruntime-cpu", spec=spec)) as cpu,
        load_engine(path, EngineSettings(backend=backend, spec=spec)) as gpu,
    ):
        frame = noise(cpu.frame_size)
        assert np.mean(gpu.run(frame).class_map == cpu.run(frame).class_map) >= EQUAL


def test_memory_is_given_back(tmp_path: Path, backend: str) -> None:
    path = write_colour_model(tmp_path / "model.onnx")
    for _ in range(2):  # libraries keep some of their own after the first
        with load_engine(path, EngineSettings(backend=backend)) as engine:
            engine.warm_up(3)
    before = free_memory_mb()
    for _ in range(20):
        with load_engine(path, EngineSettings(backend=backend)) as engine:
            engine.warm_up(3)
    assert free_memory_mb() > before - 64


def test_auto_takes_the_gpu_and_the_camera_runs_on_it(tmp_path: Path, pictures: Path) -> None:
    path = write_colour_model(tmp_path / "model.onnx")
    done = subprocess.run(
        [sys.executable, "-m", "edgeseg.runtime", str(pictures), "--model", str(path), "--every-frame",
         "--require-gpu", "--min-fps", "5", "--output", f"{tmp_path}/masks/"],
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert any(f"on {name}" in done.stdout for name in GPU_BACKENDS)
    files = sorted((tmp_path / "masks").rglob("*.png"))
    assert len(files) == 12
    mask = np.asarray(cv2.imread(str(files[0]), cv2.IMREAD_UNCHANGED))
    assert [int(mask[16, x]) for x in (5, 30, 55)] == [0, 1, 2]


@pytest.mark.parametrize("spoil", ["cut", "other-gpu", "other-version"])
def test_an_engine_that_does_not_hold_is_built_again_from_its_onnx_file(tmp_path: Path, spoil: str) -> None:
    reason = lacking("tensorrt")
    if reason:
        pytest.skip(f"tensorrt: {reason}")
    path, settings = write_colour_model(tmp_path / "model.onnx"), EngineSettings(backend="tensorrt")
    engine = tmp_path / "model.engine"
    with load_engine(path, settings) as first:
        wanted = first.run(frames()[0]).class_map
    built = engine.stat().st_mtime_ns
    with load_engine(path, settings):
        assert engine.stat().st_mtime_ns == built
    manifest = manifest_path(engine)
    if spoil == "cut":
        engine.write_bytes(engine.read_bytes()[:-100])
    elif spoil == "other-gpu":
        manifest.write_text(manifest.read_text().replace(find_gpu().name, "Another"))
    else:
        manifest.write_text(manifest.read_text().replace(EngineManifest.read(engine).key.version, "8.0.0"))
    if spoil != "cut":
        with pytest.raises(ModelError, match="build it here"):
            load_engine(engine, settings)
    with load_engine(path, settings) as again:
        np.testing.assert_array_equal(again.run(frames()[0]).class_map, wanted)
    assert engine.stat().st_mtime_ns > built


def test_a_gpu_without_memory_is_said_in_one_line(tmp_path: Path, backend: str) -> None:
    """Plain allocations take what there is, and give it back."""
    path = write_colour_model(tmp_path / "model.onnx")
    load_engine(path, EngineSettings(backend=backend)).close()  # built, and the libraries are loaded
    import pycuda.driver as driver

    driver.init()
    context = driver.Device(0).retain_primary_context()
    context.push()
    taken, size = [], 1 << 34
    try:
        while size >= 1 << 16:
            try:
                taken.append(driver.mem_alloc(size))
            except driver.MemoryError:
                size //= 2
        with pytest.raises(EdgesegError) as caught:
            load_engine(path, EngineSettings(backend=backend)).run(frames()[0])
        assert "\n" not in str(caught.value)
    finally:
        for memory in taken:
            memory.free()
        context.pop()
        context.detach()


SPOILING = r"""
import ctypes
from pathlib import Path
import click
import numpy as np
from edgeseg.core.console import run_command
from edgeseg.runtime.engines.choose import load_engine
from edgeseg.runtime.engines.settings import EngineSettings

PTX = b'''.version 6.3
.target sm_75
.address_size 64
.visible .entry bad() {
.reg .u64 a;
.reg .u32 b;
mov.u64 a, 16;
ld.global.u32 b, [a];
st.global.u32 [a], b;
ret;
}
\0'''

@click.command()
@click.argument("model")
@click.argument("backend")
def spoil(model, backend):
    with load_engine(Path(model), EngineSettings(backend=backend)) as engine:
        frame = np.zeros((*engine.frame_size, 3), np.uint8)
        engine.run(frame)
        driver, module, function = ctypes.CDLL("libcuda.so.1"), ctypes.c_void_p(), ctypes.c_void_p()
        assert driver.cuModuleLoadData(ctypes.byref(module), PTX) == 0
        assert driver.cuModuleGetFunction(ctypes.byref(function), module, b"bad") == 0
        driver.cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, None, None, None)
        driver.cuCtxSynchronize()
        engine.run(frame)

run_command(spoil, "spoil")
"""


def test_a_sticky_error_ends_the_command_with_code_5_and_one_line(tmp_path: Path, backend: str) -> None:
    """A read far outside any memory, put on the device by ourselves, spoils the context for good."""
    path = write_colour_model(tmp_path / "model.onnx")
    command = [sys.executable, "-c", SPOILING, str(path), backend]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == EngineError.exit_code, done.stderr  # 134, -6 here, is what an abort gives
    assert done.stderr.splitlines()[-1].startswith("spoil: ")
    assert "Traceback" not in done.stderr


def test_nothing_is_allocated_at_import() -> None:
    program = (
        "import ctypes, pkgutil, importlib, edgeseg.runtime\n"
        "for each in pkgutil.walk_packages(edgeseg.runtime.__path__, 'edgeseg.runtime.'):\n"
        "    each.name.endswith('__main__') or importlib.import_module(each.name)\n"
        "driver, context = ctypes.CDLL('libcuda.so.1'), ctypes.c_void_p()\n"
        "assert driver.cuCtxGetCurrent(ctypes.byref(context)) in (0, 3)\nassert not context.value"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_driver_s_answer_is_whole() -> None:
    gpu = find_gpu()
    assert gpu.name
    assert float(gpu.compute_capability) >= 5
    assert gpu.multiprocessors > 0
    assert gpu.memory_mb > 500
