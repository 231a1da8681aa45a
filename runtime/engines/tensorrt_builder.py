"""ONNX file -> TensorRT engine, on the device that will run it: no TensorFlow, no onnx."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgeseg.core.errors import EngineError, ModelError, UsageError, one_line
from edgeseg.core.files import check_writable, replace_whole, write_whole
from edgeseg.runtime.engines.graph_form import form_of
from edgeseg.runtime.engines.manifest import ANY, EngineKey, EngineManifest, file_sha256, manifest_path
from edgeseg.runtime.engines.model_file import ModelFile
from edgeseg.runtime.engines.onnx_bytes import graph_sha256
from edgeseg.runtime.engines.settings import BuildSettings
from edgeseg.runtime.engines.tensorrt_library import (
    PRODUCTS,
    check_gpu_code,
    creation_flags,
    is_rtx,
    library,
    load_plugins,
    make_logger,
    precision_flags,
    tensors,
)
from edgeseg.runtime.machine.gpu import Gpu, NoGpuError, find_gpu

Progress = Callable[[str, float], None]
"""Told the phase that the library is in, and how much of it is done, 0 to 1."""


def engine_key(model: ModelFile, settings: BuildSettings, trt: Any, gpu: Gpu | None) -> EngineKey:
    """Return what an engine of a model, built here and now, holds for."""
    return EngineKey(
        onnx_sha256=file_sha256(model.path),
        library=trt.__name__,
        version=trt.__version__,
        gpu=gpu.name if gpu else ANY,
        multiprocessors=gpu.multiprocessors if gpu else 0,
        compute_capability=gpu.compute_capability if gpu else settings.compute_capability or ANY,
        precision=model.spec.precision,
        tf32=settings.tf32,
    )


def build_engine(
    model: ModelFile, target: Path, settings: BuildSettings, progress: Progress = lambda phase, share: None
) -> EngineManifest:
    """Build an engine, and write it and its manifest; a file that is there stays whole until the new one is.

    Args:
        model: an ONNX file with its spec.
        target: the engine file.
        settings: of the build.
        progress: told how far it is.

    Raises:
        EngineError: no TensorRT, no GPU where one is needed, or the build failed.
        ModelError: TensorRT refuses the file, or it does not fit its spec.
        UsageError: the target cannot be written.
    """
    check_writable(target)
    trt = library()
    gpu = device_to_build_for(trt, settings)
    if gpu:
        check_gpu_code(trt, gpu)
    key = engine_key(model, settings, trt, gpu)
    engine = _built(trt, model, settings, gpu, progress)
    replace_whole(target, lambda partial: partial.write_bytes(memoryview(engine)))
    manifest = EngineManifest(key, file_sha256(target), model.spec, graph_sha256(model.path))
    write_whole(manifest_path(target), manifest.to_json())
    return manifest


def device_to_build_for(trt: Any, settings: BuildSettings) -> Gpu | None:
    """Return the GPU to build for; None: TensorRT-RTX builds for those that are named, or for all that it knows."""
    if settings.compute_capability:
        if not is_rtx(trt):
            raise UsageError("TensorRT builds for the GPU that it runs on; leave out --compute-capability")
        return None
    try:
        return find_gpu()
    except NoGpuError:
        if not is_rtx(trt):
            raise
        return None


def _built(trt: Any, model: ModelFile, settings: BuildSettings, gpu: Gpu | None, progress: Progress) -> Any:
    logger = make_logger(trt)
    try:
        builder = trt.Builder(logger)
    except Exception as error:  # its bindings raise TypeError where the library gives none
        raise EngineError(
            f"{_product(trt)} makes no builder ({one_line(error, 200)}); check driver and free memory"
        ) from error
    network, _parser = _parsed(trt, builder, logger, model)  # whose memory holds the weights until it is built
    config = builder.create_builder_config()
    _configure(trt, config, settings, gpu, model.spec.precision)
    if hasattr(trt, "IProgressMonitor"):  # from 10 on
        config.progress_monitor = _monitor(trt, progress)
    cache = _use_timing_cache(trt, config, settings)
    progress("building", 0.0)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise EngineError(f"{_product(trt)} built no engine of {model.path} ({_reason(logger)}); see its requirements")
    if cache:
        write_whole(cache, bytes(memoryview(config.get_timing_cache().serialize())))
    return engine


def _parsed(trt: Any, builder: Any, logger: Any, model: ModelFile) -> tuple[Any, Any]:
    network = builder.create_network(creation_flags(trt))
    load_plugins(trt, logger)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(model.path)):
        errors = [parser.get_error(index).desc() for index in range(parser.num_errors)]
        reason = one_line("; ".join(errors or logger.errors or ["no reason given"]), 300)
        raise ModelError(f"{model.path}: {_product(trt)} refuses it ({reason}); export the model again")
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    outputs = [network.get_output(index) for index in range(network.num_outputs)]
    form = form_of(tensors(inputs), tensors(outputs), model.spec, str(model.path))  # better now than after minutes
    inputs[0].shape = [int(n or 1) for n in form.input.shape]
    outputs = [network.get_output(index) for index in range(network.num_outputs)]  # their sizes follow the input's
    free = [str(each) for each in tensors(outputs) if not each.is_fixed]
    if free:
        raise ModelError(f"{model.path}: gives {'; '.join(free)}; expected fixed sizes: export it with them")
    return network, parser


def _configure(trt: Any, config: Any, settings: BuildSettings, gpu: Gpu | None, precision: str) -> None:
    for name in precision_flags(trt, precision):
        config.set_flag(getattr(trt.BuilderFlag, name))
    if not settings.tf32:
        config.clear_flag(trt.BuilderFlag.TF32)
    if settings.workspace_mb:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace_mb << 20)
    if not is_rtx(trt):
        return
    wanted = [f"SM{each.replace('.', '')}" for each in settings.compute_capability.split(",") if each]
    unknown = [name for name in wanted if not hasattr(trt.ComputeCapability, name)]
    if unknown:
        known = ", ".join(name for name in dir(trt.ComputeCapability) if name.startswith("SM"))
        raise UsageError(f"{_product(trt)} knows no {', '.join(unknown)}; expected some of {known}")
    names = wanted or (["CURRENT"] if gpu else [])
    if names:
        config.num_compute_capabilities = len(names)
        for index, name in enumerate(names):
            config.set_compute_capability(getattr(trt.ComputeCapability, name), index)


def _use_timing_cache(trt: Any, config: Any, settings: BuildSettings) -> Path | None:
    """Load the timing cache; one that TensorRT does not take, of another version or GPU, is begun anew."""
    if not settings.timing_cache:
        return None
    path = Path(settings.timing_cache)
    check_writable(path)
    held = path.read_bytes() if path.is_file() else b""
    cache = config.create_timing_cache(held)
    if cache is None or not config.set_timing_cache(cache, False):
        config.set_timing_cache(config.create_timing_cache(b""), False)
    return path


def _monitor(trt: Any, progress: Progress) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        """Phases nest; the innermost that counts steps is what is shown."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._steps[phase_name] = max(1, num_steps)
            progress(phase_name, 0.0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            progress(phase_name, min(1.0, (step + 1) / self._steps.get(phase_name, 1)))
            return True

        def phase_finish(self, phase_name: str) -> None:
            self._steps.pop(phase_name, None)

    return Monitor()


def _product(trt: Any) -> str:
    return f"{PRODUCTS[trt.__name__]} {trt.__version__}"


def _reason(logger: Any) -> str:
    return one_line("; ".join(logger.errors or ["no reason given"]), 300)
