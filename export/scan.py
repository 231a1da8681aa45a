"""Where the file begins to differ from the model: layer by layer, on one frame."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeseg.core.pixels import network_pixels
from edgeseg.core.spec import ModelSpec
from edgeseg.export.camera_graph import INPUT
from edgeseg.export.onnx_file import OnnxFile, nchw
from edgeseg.tf import keras

# Root mean square error over root mean square: far above what each precision's rounding does to a layer.
TOLERANCE = {"fp32": 1e-3, "fp16": 2e-2, "int8": 0.25}

_MADE = re.compile(r"Quantize|_(quantised|dequantised|fp16|fp32|exact|rounded)$")  # beside a layer's result, not it


def first_difference(model: Any, file: onnx.ModelProto, spec: ModelSpec, frame: NDArray[np.uint8]) -> str:
    """Say in a few words which layer is the first whose result differs on a frame.

    Args:
        model: keras.Model.
        file: what is in the ONNX file, as ONNX Runtime can run it.
        spec: of the file.
        frame: (H, W, 3) uint8, BGR, of the file's frame size.
    """
    tensors = [name for node in file.graph.node for name in node.output]
    pixels = network_pixels(frame, spec)
    layers = [layer for layer in model.layers if len(getattr(layer.output, "shape", ())) == 4]
    names = {layer.name: found for layer in layers if (found := _tensor_of(layer.name, tensors))}
    inner = sorted({*names.values(), *({INPUT} & set(tensors))})
    outputs = OnnxFile(file, inner).run(nchw(pixels) if spec.camera_size is None else frame[np.newaxis])
    limit = TOLERANCE[spec.precision]
    if INPUT in outputs and (error := _error(nchw(pixels), outputs[INPUT])) > limit:
        return f"the first to differ is the network's input (by {error:.1%}): resize, colour order, mean or scale"
    errors = dict(_errors(model, [layer for layer in layers if layer.name in names], pixels, names, outputs))
    beyond = [name for name, error in errors.items() if error > limit]
    if beyond:
        return f"the first layer to differ is {beyond[0]} (by {errors[beyond[0]]:.1%})"
    if not errors:
        return "no layer of the model can be told in the graph"
    worst = max(errors, key=lambda name: errors[name])
    return f"no layer stands out; {worst} differs most (by {errors[worst]:.2%})"


def _errors(
    model: Any, layers: list[Any], pixels: NDArray[np.float32], names: dict[str, str], outputs: Any
) -> Iterator[tuple[str, float]]:
    wanted = keras.Model(model.input, [layer.output for layer in layers])(pixels[np.newaxis], training=False)
    for layer, value in zip(layers, wanted, strict=True):
        reference, written = np.asarray(value), outputs[names[layer.name]]
        for candidate in (reference, reference.transpose(0, 3, 1, 2)):
            if candidate.shape == written.shape:
                yield layer.name, _error(candidate, written)
                break


def _tensor_of(layer: str, tensors: list[str]) -> str | None:
    """tf2onnx names a tensor by its layer's scope: `fcn8_1/pool1_1/MaxPool2d:0`; the last one is the result."""
    scope = re.compile(rf"(^|/){re.escape(layer)}(_\d+)?/")
    return next((name for name in reversed(tensors) if scope.search(name) and not _MADE.search(name)), None)


def _error(wanted: NDArray[Any], written: NDArray[Any]) -> float:
    difference = wanted.astype(np.float64) - written.astype(np.float64)
    scale = float(np.sqrt(np.mean(np.square(wanted, dtype=np.float64))))
    return float(np.sqrt(np.mean(np.square(difference)))) / max(scale, 1e-12)
