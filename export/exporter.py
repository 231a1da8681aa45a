"""`edgeseg export`: a run becomes one ONNX file, proven before it takes its name."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import onnx

from edgeseg.core.errors import ModelError, one_line
from edgeseg.core.files import check_writable, replace_whole, write_whole
from edgeseg.core.spec import ModelSpec
from edgeseg.data.argument import data_of_model
from edgeseg.export.camera_graph import OUTPUT, camera_graph, raw_graph, with_camera
from edgeseg.export.card_figures import Measured
from edgeseg.export.export_report import ExportReport, draw_worst
from edgeseg.export.frames import Frames
from edgeseg.export.model_card import card_beside, model_card
from edgeseg.export.network import in_float32, onnx_from_keras
from edgeseg.export.onnx_file import OnnxFile
from edgeseg.export.precision.candidates import candidates
from edgeseg.export.precision.half_layers import Halver
from edgeseg.export.precision.quantise import Quantiser
from edgeseg.export.precision.sibling import float32_sibling
from edgeseg.export.precision.speed import compare_speed
from edgeseg.export.proof import Parity, Worst, compare
from edgeseg.export.scan import first_difference
from edgeseg.export.settings import ExportSettings
from edgeseg.export.tensorrt_check import Readiness, check_tensorrt, library_at_hand
from edgeseg.export.tensorrt_rules import check_rules
from edgeseg.export.upsampling import Upsampling, check_upsampling, write_grouped
from edgeseg.models.build import load_model
from edgeseg.runtime.engines.manifest import file_sha256
from edgeseg.runtime.engines.proven import seal

Say = Callable[[str], None]
REMEDIES = {
    "fp32": "try another --opset, or look at that layer; --equal-pixels, --miou-loss and --logit-error set the limits",
    "fp16": Halver.remedy,
    "int8": Quantiser.remedy,
}


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
    data = data_of_model(settings.check, spec.trained_on, "--check")
    measured = Measured.of(path, target, spec, settings.scores)
    frames = Frames(data, settings.check_split, settings.check_frames, spec, "prove the export with", "--check")
    progress(f"loading {path}")
    model = in_float32(load_model(path))
    progress("converting to ONNX")
    network, upsampling = _network(model, spec, settings, progress)
    plain = None if settings.precision == "fp32" else network
    graphs = _graphs([network], spec, settings, frames, progress)
    del network  # of fp32 the file is all that is needed from when it is written

    form = settings.int8_form if settings.precision == "int8" else ""

    def write_proven(partial: Path) -> ExportReport:
        while (written := _write_next(graphs, partial)) is not None:
            rules = written
            progress(f"comparing {len(frames)} frames with the Keras model")
            parity, worst = compare(model, _as_proven(partial, settings), spec, frames)
            if parity.fault(settings.limits) is None:
                break
        _judge(model, partial, spec, settings, upsampling, parity, worst)
        speed = None
        if plain is not None:
            progress("timing it beside fp32 on this CPU")
            speed = compare_speed(_finished(plain, spec, settings), partial)
        readiness = Readiness(rules)
        if form == "cpu":
            readiness = Readiness(rules, warnings=["int8 in ONNX Runtime's own form: not for TensorRT"])
        elif library_at_hand() if settings.tensorrt_check is None else settings.tensorrt_check:
            progress("building an engine with NVIDIA's library")
            readiness = check_tensorrt(partial, rules, len(upsampling))
        report = ExportReport.of(target, partial, spec, settings.limits, upsampling, parity, readiness, speed, form)
        sha256 = file_sha256(partial)
        measured.check_written(sha256)
        # It names the file's checksum: beside another it is found out.
        write_whole(card_beside(target), model_card(target.name, sha256, spec, measured.figures, report.proof()))
        return report

    def write_both(spec_partial: Path) -> ExportReport:
        """Have the spec on the disk before the model takes its name, so that no full disk can part the two."""
        spec_partial.write_text(spec.to_json())
        return replace_whole(target, write_proven)

    report = replace_whole(target.with_name(f"{target.name}.spec.json"), write_both)
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


def _network(
    model: Any, spec: ModelSpec, settings: ExportSettings, progress: Say
) -> tuple[onnx.ModelProto, list[Upsampling]]:
    network = onnx_from_keras(model, spec, settings.opset)
    forms = {"per class", "diagonal"} if settings.deconvolution == "grouped" else {"per class"}
    upsampling = write_grouped(network, check_upsampling(model, network), forms)
    dense = [row.name for row in upsampling if row.form == "dense"]
    if dense and settings.deconvolution == "grouped":
        progress(f"kept dense: {', '.join(dense)}, whose kernels are not diagonal (training fills them)")
    return network, upsampling


def _graphs(
    waiting: list[onnx.ModelProto], spec: ModelSpec, settings: ExportSettings, frames: Frames, progress: Say
) -> Iterator[onnx.ModelProto]:
    """Yield what is to be written: one graph, or for fp16 and int8 more, as long as the last one is refused.

    Args:
        waiting: the network; taken out, so that it is not held beside what is made of it.
    """
    if settings.precision == "fp32":
        yield _finished(waiting.pop(), spec, settings)
        return
    for network in candidates(waiting.pop(), spec, settings, frames, progress):
        yield _finished(network, spec, settings)


def _finished(network: onnx.ModelProto, spec: ModelSpec, settings: ExportSettings) -> onnx.ModelProto:
    return raw_graph(network, spec) if settings.raw else camera_graph(network, spec, settings.with_confidence)


def _write_next(graphs: Iterator[onnx.ModelProto], path: Path) -> dict[str, list[str]] | None:
    """Write the next graph; return what each TensorRT's rules object to, or None if there is no graph left."""
    graph = next(graphs, None)
    if graph is None:
        return None
    rules = check_rules(graph)
    path.write_bytes(graph.SerializeToString())
    seal(path)
    del graph
    gc.collect()
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = one_line(error, 200)
        raise ModelError(f"the conversion gave no valid ONNX ({reason}); nothing was written, try --opset") from error
    return rules


def _as_proven(path: Path, settings: ExportSettings) -> OnnxFile:
    """The file as it lies there; or what computes as it does on a GPU, if ONNX Runtime's CPU cannot."""
    inner = [] if settings.raw else [OUTPUT]
    if settings.precision == "fp32":
        return OnnxFile(path, inner)
    return OnnxFile(float32_sibling(onnx.load(str(path))), inner)


def _judge(
    model: Any,
    path: Path,
    spec: ModelSpec,
    settings: ExportSettings,
    upsampling: list[Upsampling],
    parity: Parity,
    worst: Worst,
) -> None:
    """Draw the worst frame; raise ModelError if the parity is beyond a limit, and keep the report of that."""
    fault = parity.fault(settings.limits)
    if settings.report:
        picture = settings.report.with_suffix(".png")
        replace_whole(picture, lambda partial: draw_worst(worst, spec, partial))
    if fault is None:
        return
    sibling = float32_sibling(onnx.load(str(path)))
    fault = f"{fault}; {first_difference(model, sibling, spec, worst.frame.pixels)}"
    if settings.report:
        refused = ExportReport.of(path, path, spec, settings.limits, upsampling, parity, Readiness({}))
        write_whole(settings.report, replace(refused, onnx="", refused=fault).to_json())
    raise ModelError(f"{fault}; nothing was written: {REMEDIES[spec.precision]}")
