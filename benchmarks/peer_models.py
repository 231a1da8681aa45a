"""The files that benchmarks/peers.py compares: one trained model in every form that a peer takes, made once."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeseg.core.files import write_whole
from edgeseg.core.pixels import network_pixels
from edgeseg.core.spec import ModelSpec
from edgeseg.data.argument import open_dataset

CALIBRATION_FRAMES = 100


@dataclass(frozen=True)
class Files:
    """A run in one precision.

    Attributes:
        keras: the trained model.
        graph: edgeseg's camera graph, for frames of the video's size.
        raw: the network alone: float NCHW pixels in, logits out.
        lite: for LiteRT; where it is int8, quantised by TensorFlow's converter on the same frames.
    """

    keras: Path
    graph: Path
    raw: Path
    lite: Path

    @property
    def spec(self) -> ModelSpec:
        return ModelSpec.read(self.keras.with_name("spec.json"))


def made(run: Path, precision: str, camera_size: str, work: Path) -> Files:
    """Return the files of a run, made by edgeseg's and TensorFlow's converters where they are not there yet."""
    keras = run / "model.keras"
    key = hashlib.sha256(keras.read_bytes() + camera_size.encode()).hexdigest()[:12]
    stem = work / f"{key}-{precision}"
    files = Files(keras, *(stem.with_name(f"{stem.name}-{name}") for name in ("graph.onnx", "raw.onnx", "lite.tflite")))
    options = ["--precision", precision, "--int8-form", "cpu"]  # every way here runs on a CPU
    if not files.graph.exists():
        _export(run, files.graph, [*options, "--camera-size", camera_size])
    if not files.raw.exists():
        _export(run, files.raw, [*options, "--raw"])
    if not files.lite.exists():
        write_whole(files.lite, _converted(files, quantised=precision == "int8"))
    return files


def _export(run: Path, target: Path, options: list[str]) -> None:
    command = [sys.executable, "-m", "edgeseg", "export", str(run), "--onnx", str(target), *options]
    print(f"edgeseg {' '.join(command[3:])}", flush=True)
    subprocess.run([*command, "--no-tensorrt-check"], check=True, stdout=subprocess.DEVNULL)


def _converted(files: Files, quantised: bool) -> bytes:
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from edgeseg.models.build import load_model
    from edgeseg.tf import tf

    model, spec = load_model(files.keras), files.spec
    network = tf.function(lambda pixels: model(pixels, training=False))
    traced = network.get_concrete_function(tf.TensorSpec((1, *spec.input_size, 3), tf.float32))
    frozen = convert_variables_to_constants_v2(traced)  # variables of Keras 3 would stay variables, without values
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    if quantised:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: _calibration(spec)
    return bytes(converter.convert())


def _calibration(spec: ModelSpec) -> Iterator[list[Any]]:
    """Yield what edgeseg's int8 is calibrated on too."""
    samples = open_dataset(spec.trained_on).split("train")
    for sample in samples[:: max(1, len(samples) // CALIBRATION_FRAMES)][:CALIBRATION_FRAMES]:
        yield [network_pixels(sample.read_image(), spec)[None]]
