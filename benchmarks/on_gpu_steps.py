"""The steps of `on_gpu.py`, each run as a program of its own: `python on_gpu_steps.py STEP FOLDER [MODEL...]`.

A step prints Markdown. It ends with 1 if an engine failed; what this computer lacks is a row that names it.
"""

from __future__ import annotations

import ctypes
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from on_gpu_graphs import flops, write_forms, write_precisions, write_products

from edgeseg.core.errors import EdgesegError, EngineError, one_line
from edgeseg.core.geometry import Size
from edgeseg.runtime.engines.base import Engine
from edgeseg.runtime.engines.choose import backend_class, load_engine
from edgeseg.runtime.engines.registry import GPU_BACKENDS
from edgeseg.runtime.engines.settings import EngineSettings
from edgeseg.runtime.engines.tensorrt_library import check_gpu_code, library
from edgeseg.runtime.machine.gpu import DRIVER, find_gpu
from edgeseg.scenes import Drive

REHEARSAL = "EDGESEG_REHEARSAL"
"""Set by `on_gpu.py --rehearse`: engines of the CPU take the place of those of the GPU, on small graphs."""
CPU = "onnxruntime-cpu"
WARM_UP, ROUNDS, LEAST_ROUNDS = 10, 100, 10
ENOUGH_S = 3.0
"""What one figure may take: slow devices give fewer frames, not none."""
FRAMES = 4
FORMS = ((11, Size(44, 60)), (19, Size(64, 128)))
# 32-bit multiply-adds a clock and multiprocessor (CUDA C++ Programming Guide, Arithmetic Instructions).
CORES = {"7.5": 64, "8.0": 64, "8.6": 128, "8.7": 128, "8.9": 128, "9.0": 128, "10.0": 128, "12.0": 128, "12.1": 128}
_CLOCK_RATE = 13  # CU_DEVICE_ATTRIBUTE_CLOCK_RATE, in kHz
failures: list[str] = []


def rehearsal() -> bool:
    return REHEARSAL in os.environ


def backends() -> tuple[str, ...]:
    return (CPU, "openvino") if rehearsal() else GPU_BACKENDS


def lacking(backend: str) -> str | None:
    """Return what of this computer keeps a backend from working, or None."""
    reason = backend_class(backend).missing()
    if reason is None and backend == "tensorrt":
        try:
            check_gpu_code(library(), find_gpu())
        except EngineError as error:
            return str(error)
    return reason


def opened(backend: str, path: Path, row: Callable[[Engine], str], **settings: bool | int) -> None:
    """Open an engine and print the row that comes of it, or why there is none."""
    begins = f"| {backend} | {path.stem}"
    reason = lacking(backend)
    if reason:
        print(f"{begins} | skipped: {one_line(reason, 150)} |", flush=True)
        return
    try:
        with load_engine(path, EngineSettings(backend=backend, **settings)) as engine:  # type: ignore[arg-type]
            engine.warm_up(WARM_UP)
            print(f"{begins} | {row(engine)} |", flush=True)
    except EdgesegError as error:
        failures.append(str(error))
        print(f"{begins} | FAILED: {one_line(error, 200)} |", flush=True)


def pictures(size: Size) -> list[NDArray[np.uint8]]:
    return [Drive(seed, size).frame(90)[0] for seed in range(FRAMES)]


def milliseconds(engine: Engine, rounds: int = ROUNDS) -> tuple[list[float], list[float]]:
    """Return each frame's time as a program sees it, and by the device's events."""
    host: list[float] = []
    device: list[float] = []
    frames, end = pictures(engine.frame_size), time.monotonic() + ENOUGH_S
    for index in range(rounds):
        if index >= LEAST_ROUNDS and time.monotonic() > end:
            break
        start = time.perf_counter()
        result = engine.run(frames[index % len(frames)])
        host.append((time.perf_counter() - start) * 1e3)
        device.append(result.inference_ms)
    return host, device


def engines(folder: Path, models: list[Path]) -> None:
    """Every engine on every precision: time, and the share of pixels that are ONNX Runtime's on the CPU."""
    print("| engine | model | ms/frame p50 | p99 | device ms p50 | equal pixels |\n|---|---|---|---|---|---|")
    for path in models or list(write_precisions(folder).values()):
        with load_engine(path, EngineSettings(backend=CPU)) as reference:
            frames = pictures(reference.frame_size)
            wanted = [reference.run(frame).class_map.copy() for frame in frames]

        def row(
            engine: Engine, frames: list[NDArray[np.uint8]] = frames, wanted: list[NDArray[np.uint8]] = wanted
        ) -> str:
            shares = [np.mean(engine.run(each).class_map == mask) for each, mask in zip(frames, wanted, strict=True)]
            host, device = milliseconds(engine)
            p50, p99 = np.percentile(host, [50, 99])
            return f"{p50:.3f} | {p99:.3f} | {statistics.median(device):.3f} | {np.mean(shares):.3%}"

        for backend in backends():
            opened(backend, path, row)


def cuda_graph(folder: Path, models: list[Path]) -> None:
    """A frame's work launched as one CUDA graph, and not."""
    print("| engine | model | CUDA graph | ms/frame p50 | device ms p50 |\n|---|---|---|---|---|")
    for path in (models or _written(folder))[:2]:
        for backend in backends():
            for graph in (True, False):

                def row(engine: Engine, graph: bool = graph) -> str:
                    host, device = milliseconds(engine)
                    return (
                        f"{'on' if graph else 'off'} | {statistics.median(host):.3f} | {statistics.median(device):.3f}"
                    )

                opened(backend, path, row, cuda_graph=graph)


def in_flight(folder: Path, models: list[Path]) -> None:
    """Frames a second with one and with two frames in the engine."""
    print("| engine | model | in flight | frames a second |\n|---|---|---|---|")
    for path in (models or _written(folder))[:2]:
        for count in (1, 2):

            def row(engine: Engine, count: int = count) -> str:
                frames = pictures(engine.frame_size)
                engine.submit(frames[0])
                start, done = time.perf_counter(), 0
                while done < LEAST_ROUNDS or (done < 2 * ROUNDS and time.perf_counter() - start < ENOUGH_S):
                    if engine.in_flight > 1:
                        engine.submit(frames[done % FRAMES])
                    engine.collect()
                    if engine.in_flight == 1:
                        engine.submit(frames[done % FRAMES])
                    done += 1
                seconds = time.perf_counter() - start
                engine.collect()
                return f"{count} | {done / seconds:.1f}"

            opened(backends()[0], path, row, in_flight=count)


def deconvolutions(folder: Path, models: list[Path]) -> None:
    """Forms of an FCN's last 8x enlargement, with its scores before and argmax behind, which `none` is alone."""
    print("| engine | form, classes, output | device ms p50 |\n|---|---|---|")
    for classes, size in FORMS[: 1 if rehearsal() else None]:
        place = folder / f"forms-{classes}"
        place.mkdir(exist_ok=True)
        for path in write_forms(place, classes, size).values():
            named = path.rename(path.with_name(f"{path.stem}, {classes}, {size.width * 8}x{size.height * 8}.onnx"))
            Path(f"{path}.spec.json").rename(f"{named}.spec.json")
            for backend in backends():
                opened(backend, named, lambda engine: f"{statistics.median(milliseconds(engine, 30)[1]):.3f}")


def peak(folder: Path, models: list[Path]) -> None:
    """Operations a second: of large products, which is this engine's peak here, and of the model as a share of that."""
    print(f"{theoretical()}\n\n| engine | graph | GFLOP a frame | TFLOP/s | of its products |\n|---|---|---|---|---|")
    small = rehearsal()
    products = write_products(
        folder, 128 if small else 2048, 2 if small else 16, Size(32, 32) if small else Size(64, 64)
    )
    own = {path.stem: path for path in models} or dict(zip(products, _written(folder), strict=True))
    reached: dict[tuple[str, str], float] = {}
    for backend in backends():
        for name, path in [*((f"product {each}", path) for each, path in products.items()), *own.items()]:

            def row(engine: Engine, path: Path = path, name: str = name, backend: str = backend) -> str:
                count = flops(path)
                rate = count / statistics.median(milliseconds(engine, 30)[1]) * 1e3
                reached.setdefault((backend, engine.spec.precision), rate)
                share = rate / reached[backend, engine.spec.precision]
                return f"{count / 1e9:.2f} | {rate / 1e12:.3f} | {share:.1%}"

            opened(backend, path, row)


def theoretical() -> str:
    """Return the GPU's 32-bit operations a second by its multiprocessors and clock, as far as they are known."""
    if rehearsal():
        return "No GPU: a rehearsal."
    gpu, kilohertz, device = find_gpu(), ctypes.c_int(), ctypes.c_int()
    driver = ctypes.CDLL(DRIVER)
    driver.cuDeviceGet(ctypes.byref(device), 0)
    code = driver.cuDeviceGetAttribute(ctypes.byref(kilohertz), _CLOCK_RATE, device)
    cores = CORES.get(gpu.compute_capability)
    if code or cores is None or not kilohertz.value:
        return f"{gpu}: the peak in fp32 is not known."
    rate = 2 * gpu.multiprocessors * cores * kilohertz.value * 1e3 / 1e12
    clock = f"a clock of {kilohertz.value / 1e3:.0f} MHz"
    return f"{gpu}: {rate:.1f} TFLOP/s in fp32 without tensor cores, by its multiprocessors and {clock}."


def tests(folder: Path, models: list[Path]) -> None:
    """`pytest -m gpu`: masks, memory, engines that do not hold, errors that spoil the device."""
    where = "tests/runtime/engines/test_on_gpu.py"
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-v", "-rs", "--no-header", "-p", "no:cacheprovider", where]
    command += ["--collect-only"] if rehearsal() else []
    root, last = Path(__file__).resolve().parent.parent, ""
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            last = line.strip("= \n") or last
            if re.search(r"::.* (FAILED|ERROR) |^SKIPPED|^E  ", line):
                print(f"- {one_line(line, 200)}", flush=True)
    print(f"\n{last}")
    if process.returncode:
        failures.append(last)


def _written(folder: Path) -> list[Path]:
    found = [folder / f"{precision}.onnx" for precision in ("fp32", "fp16", "int8")]
    return found if all(path.exists() for path in found) else list(write_precisions(folder).values())


STEPS = {each.__name__: each for each in (engines, tests, cuda_graph, in_flight, peak, deconvolutions)}
"""What matters most comes first: on a slow device the last are cut short."""


def main() -> None:
    step, folder, *models = sys.argv[1:]
    STEPS[step](Path(folder), [Path(each) for each in models])
    sys.stdout.flush()
    os._exit(1 if failures else 0)  # what a failed GPU leaves may end the process otherwise


if __name__ == "__main__":
    main()
