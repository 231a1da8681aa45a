"""`edgeseg export`: a run becomes one ONNX file, proven before it takes its name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

from edgeseg.data import open_dataset
from edgeseg.errors import DataError, ModelError
from edgeseg.export.camera_graph import camera_graph, with_camera
from edgeseg.export.network import onnx_from_keras
from edgeseg.export.proof import EQUAL_PIXELS_LIMIT, Parity, check_upsampling, compare
from edgeseg.files import check_writable, replace_whole, write_whole
from edgeseg.geometry import Crop, Size
from edgeseg.models import load_model
from edgeseg.runtime.engines import open_engine
from edgeseg.spec import ModelSpec

CHECK_FRAMES = 16


@dataclass(frozen=True)
class ExportSettings:
    """How a model is exported.

    Attributes:
        camera_size: frames that the graph takes; None for the network's own size.
        crop: part of the frame that is used; None for the run's own.
        fit: how the frame's shape meets the network's; None for the run's own.
        with_confidence: add the `confidence` output.
        check: data argument with the frames for the proof; None for the validation split of the run's data.
    """

    camera_size: Size | None = None
    crop: Crop | None = None
    fit: str | None = None
    with_confidence: bool = False
    check: str | None = None


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how it was proven."""

    onnx: str
    camera_size: str
    network_size: str
    transposed_convolutions: int
    parity: Parity

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)


def export(
    run: Path, target: Path, settings: ExportSettings, progress: Callable[[str], None] = lambda _: None
) -> ExportReport:
    """Write the camera graph of a trained model to `target`, and its spec to `<target>.spec.json`.

    Args:
        run: a run directory of `edgeseg train`, or its `.keras` file.
        target: the ONNX file; a file that is there stays whole unless the new one is proven.
        settings: see ExportSettings.
        progress: told each stage.

    Raises:
        ModelError: the model cannot be read or converted, or the file does not give the model's masks.
        DataError: the frames for the proof cannot be read.
        UsageError: the target cannot be written.
    """
    check_writable(target)
    path = run / "model.keras" if run.is_dir() else run
    if not path.is_file():
        raise ModelError(f"{path}: no such file; expected a run directory with a model.keras, or a .keras file")
    spec = _spec_of(path, settings)
    progress("reading frames for the proof")
    frames = _frames(settings.check or spec.trained_on, spec)
    progress(f"loading {path}")
    model = load_model(path)
    progress("converting to ONNX")
    graph, upsampling = _graph(model, spec, settings)

    def write_proven(partial: Path) -> Parity:
        partial.write_bytes(graph.pop().SerializeToString())  # what is written needs no memory any more
        onnx.checker.check_model(str(partial), full_check=True)
        progress(f"comparing {len(frames)} frames with the Keras model")
        with open_engine(partial, "onnxruntime-cpu") as engine:
            parity = compare(model, engine, spec, frames)
        _judge(parity)
        return parity

    parity = replace_whole(target, write_proven)
    write_whole(target.with_name(f"{target.name}.spec.json"), spec.to_json())
    return ExportReport(str(target), str(spec.camera_size), str(spec.input_size), upsampling, parity)


def _graph(model: Any, spec: ModelSpec, settings: ExportSettings) -> tuple[list[onnx.ModelProto], int]:
    network = onnx_from_keras(model, spec)
    upsampling = check_upsampling(model, network)
    return [camera_graph(network, spec, settings.with_confidence)], upsampling


def _spec_of(path: Path, settings: ExportSettings) -> ModelSpec:
    spec = ModelSpec.read(path.with_name("spec.json"))
    return with_camera(
        replace(
            spec,
            crop=settings.crop or spec.crop,
            fit=settings.fit or spec.fit,
            versions={**spec.versions, **{name: metadata.version(name) for name in ("edgeseg", "onnx", "tf2onnx")}},
        ),
        settings.camera_size,
    )


def _frames(data: str, spec: ModelSpec) -> list[NDArray[np.uint8]]:
    assert spec.camera_size is not None
    try:
        samples = open_dataset(data).split("val")
    except DataError as error:
        raise DataError(
            f"no frames to prove the export with: {error}; give a data set that is here by --check"
        ) from error
    chosen = [samples[i] for i in np.linspace(0, len(samples) - 1, min(CHECK_FRAMES, len(samples)), dtype=int)]
    height, width = spec.camera_size
    return [
        np.asarray(cv2.resize(sample.read_image(), (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
        for sample in chosen
    ]


def _judge(parity: Parity) -> None:
    if parity.equal_pixels < EQUAL_PIXELS_LIMIT:
        raise ModelError(
            f"the ONNX file gives {parity.equal_pixels:.4%} of the Keras model's pixels over {parity.frames} frames "
            f"(worst: frame {parity.worst_frame} with {parity.worst_equal_pixels:.4%}); expected at least "
            f"{EQUAL_PIXELS_LIMIT:.1%}: nothing was written, report the model's layers as a fault of the export"
        )
