"""`edgeseg export`: a run becomes one ONNX file, proven before it takes its name."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import onnx

from edgeseg.errors import ModelError
from edgeseg.export.camera_graph import camera_graph, raw_graph, with_camera
from edgeseg.export.frames import Frames
from edgeseg.export.half import to_half
from edgeseg.export.network import OUTPUT, in_float32, onnx_from_keras
from edgeseg.export.onnx_file import OnnxFile, nchw
from edgeseg.export.proof import Parity, compare
from edgeseg.export.quantise import FEW_FRAMES, HELD_OUT, Pixels, Quantiser, quantise
from edgeseg.export.report import ExportReport, draw_worst
from edgeseg.export.scan import first_difference
from edgeseg.export.settings import ExportSettings
from edgeseg.export.tensorrt_check import Readiness, check_tensorrt, library_at_hand
from edgeseg.export.tensorrt_rules import check_rules
from edgeseg.export.upsampling import Upsampling, check_upsampling, write_grouped
from edgeseg.files import check_writable, replace_whole, write_whole
from edgeseg.models import load_model
from edgeseg.pixels import network_pixels
from edgeseg.spec import ModelSpec

Say = Callable[[str], None]


def export(run: Path, target: Path, settings: ExportSettings, progress: Say = lambda _: None) -> ExportReport:
    """Write the graph of a trained model to `target`, and its spec to `<target>.spec.json`.

    Args:
        run: a run directory of `edgeseg train`, or its `.keras` file.
        target: the ONNX file; a file that is there stays whole unless the new one is proven.
        settings: see ExportSettings.
        progress: told each stage.

    Raises:
        ModelError: the model cannot be read or converted, the file does not give the model's masks, or NVIDIA's library
            refuses it.
        DataError: the frames for the proof cannot be read.
        UsageError: the target cannot be written.
    """
    for path in filter(None, (target, settings.report)):
        check_writable(path)
    path = _model_file(run)
    spec = _spec_of(path, settings)
    progress("reading frames for the proof")
    data = settings.check or spec.trained_on
    frames = Frames(data, settings.check_split, settings.check_frames, spec, "prove the export with", "--check")
    progress(f"loading {path}")
    model = in_float32(load_model(path))
    progress("converting to ONNX")
    graph, upsampling = _graph(model, spec, settings, progress)
    rules = check_rules(graph)
    waiting = [graph]  # taken out when it is written: from then on the file is all that is needed
    del graph

    def write_proven(partial: Path) -> ExportReport:
        partial.write_bytes(waiting.pop().SerializeToString())
        gc.collect()
        onnx.checker.check_model(str(partial), full_check=True)
        progress(f"comparing {len(frames)} frames with the Keras model")
        parity = _proven(model, partial, spec, frames, settings, upsampling)
        readiness = Readiness(rules)
        if settings.int8_form == "cpu" and settings.precision == "int8":
            readiness = Readiness(rules, warnings=["int8 in ONNX Runtime's own form: not for TensorRT"])
        elif library_at_hand() if settings.tensorrt_check is None else settings.tensorrt_check:
            progress("building an engine with NVIDIA's library")
            readiness = check_tensorrt(partial, rules, len(upsampling))
        return ExportReport.of(target, partial, spec, settings.limits, upsampling, parity, readiness)

    report = replace_whole(target, write_proven)
    write_whole(target.with_name(f"{target.name}.spec.json"), spec.to_json())
    if settings.report:
        write_whole(settings.report, report.to_json())
    return report


def _model_file(run: Path) -> Path:
    path = run / "model.keras" if run.is_dir() else run
    if path.is_file():
        return path
    if run.is_dir() and (run / "config.toml").is_file():
        raise ModelError(f"{run}: a run without a best model yet (no model.keras); train it for at least one epoch")
    raise ModelError(f"{path}: no such file; expected a run directory with a model.keras, or a .keras file")


def _spec_of(path: Path, settings: ExportSettings) -> ModelSpec:
    spec = ModelSpec.read(path.with_name("spec.json"))
    spec = replace(
        spec,
        crop=settings.crop or spec.crop,
        fit=settings.fit or spec.fit,
        precision=settings.precision,
        versions={**spec.versions, **{name: metadata.version(name) for name in ("edgeseg", "onnx", "tf2onnx")}},
    )
    return spec if settings.raw else with_camera(spec, settings.camera_size)


def _graph(
    model: Any, spec: ModelSpec, settings: ExportSettings, progress: Say
) -> tuple[onnx.ModelProto, list[Upsampling]]:
    network = onnx_from_keras(model, spec, settings.opset)
    upsampling = check_upsampling(model, network)
    if settings.deconvolution == "grouped":
        changed = write_grouped(network, upsampling)
        dense = [row.name for row in upsampling if row.name not in changed]
        if dense:
            progress(f"kept dense: {', '.join(dense)}, whose kernels are not diagonal (training fills them)")
        upsampling = [replace(row, groups=row.channels[0]) if row.name in changed else row for row in upsampling]
    if settings.precision == "fp16":
        to_half(network)
    elif settings.precision == "int8":
        network = _int8(network, spec, settings, progress)
    return (raw_graph(network, spec) if settings.raw else camera_graph(network, spec, settings.with_confidence)), (
        upsampling
    )


def _int8(network: onnx.ModelProto, spec: ModelSpec, settings: ExportSettings, progress: Say) -> onnx.ModelProto:
    data = settings.calibrate or spec.trained_on
    count = settings.calibrate_frames
    frames = Frames(data, settings.calibrate_split, count, spec, "calibrate with", "--calibrate")
    if len(frames) < FEW_FRAMES:
        progress(f"warning: {len(frames)} frames for the calibration; expected at least {FEW_FRAMES} varied ones")
    progress(f"calibrating on {len(frames)} frames")
    held_out: list[Pixels] = []

    def pixels() -> Iterator[Pixels]:
        for index, frame in enumerate(frames):
            value = nchw(network_pixels(frame.pixels, spec))
            if index % max(1, len(frames) // HELD_OUT) == 0 and len(held_out) < HELD_OUT:
                held_out.append(value)
            yield value

    quantiser = Quantiser(network, pixels(), settings.calibration, settings.int8_form)
    result = quantise(network, quantiser, held_out, settings.limits.equal_pixels, settings.int8_budget, progress)
    for layer in result.left_in_float:
        progress(f"left in float: {layer}, which alone changes {result.costs[layer]:.3%} of the pixels")
    return result.network


def _proven(
    model: Any, path: Path, spec: ModelSpec, frames: Frames, settings: ExportSettings, upsampling: list[Upsampling]
) -> Parity:
    parity, worst = compare(model, OnnxFile(path, [] if settings.raw else [OUTPUT]), spec, frames)
    fault = parity.fault(settings.limits)
    if settings.report:
        picture = settings.report.with_suffix(".png")
        replace_whole(picture, lambda partial: draw_worst(worst, spec, partial))
    if fault is None:
        return parity
    where = first_difference(model, path, spec, worst.frame.pixels)
    if settings.report:
        refused = ExportReport.of(path, path, spec, settings.limits, upsampling, parity, Readiness({}))
        write_whole(settings.report, replace(refused, onnx="", refused=f"{fault}; {where}").to_json())
    raise ModelError(f"{fault}; {where}; nothing was written")
