"""Where weights start: published ones of an encoder, or a model of one's own.

lines = initialise(model, settings, classes)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgeseg.core.errors import ModelError
from edgeseg.core.labels import ClassMap
from edgeseg.models.build import load_model
from edgeseg.models.initial_network import run_spec
from edgeseg.models.options import NetworkOptions
from edgeseg.models.published import Weights, published_weights
from edgeseg.models.registry import ENCODERS

_HEAD = re.compile(r"logits|score_.*|up_.*")
_DECODER = re.compile(r"logits|score_.*|up_.*|up\d.*|lateral\d.*")
_DENSE = {"fc6": "fc1", "fc7": "fc2"}  # of VGG16: our convolution, the library's dense layer
_SHOWN = 6


def initialise(model: Any, network: NetworkOptions, weights: str, init: str, classes: ClassMap) -> list[str]:
    """Give an untrained model the weights that a training starts from.

    Args:
        model: built from `network`; its weights are replaced in place.
        network: says which encoder it has.
        weights: of the encoder: `none`, `imagenet` or a file.
        init: a run directory or `.keras` file to start from; empty for none.
        classes: the data's, in order: the head of a run with other classes is not taken over.

    Returns:
        What starts from where and what starts fresh, as lines for the user; none if all starts fresh.

    Raises:
        ModelError: a file that is missing, damaged or of another network, or a download that failed; it says how to
            bring the file.
    """
    if init:
        return start_from_run(model, Path(init), classes)
    return [] if weights == "none" else start_from_published(model, network, weights)


def start_from_run(model: Any, path: Path, classes: ClassMap) -> list[str]:
    """Take over the layers of a run's model (or `.keras` file) that have the same name and shapes."""
    before = run_spec(path).classes
    source = load_model(path / "model.keras" if path.is_dir() else path)
    weights = {layer.name: layer.get_weights() for layer in source.layers if layer.weights}
    same_classes = before.names == classes.names
    if not same_classes:
        weights = {name: values for name, values in weights.items() if not _HEAD.fullmatch(name)}
    taken, fresh = _take(_with_weights(model), weights)
    if not any(not _HEAD.fullmatch(name) for name in taken):
        raise ModelError(f"{path}: none of its layers fits this network; use the run's own --width and options")
    why = "" if same_classes else f" ({path} knows {len(before)} other classes, the data has {len(classes)})"
    return [_taken_line(taken, fresh, str(path)), *_fresh_lines(fresh, why)]


def start_from_published(model: Any, network: NetworkOptions, weights: str) -> list[str]:
    """Give the encoder its published weights; VGG16's dense layers become the convolutions fc6 and fc7."""
    top = network.encoder == "vgg16" and network.architecture != "unet"
    found = published_weights(network, weights, top)
    layers = [layer for layer in _with_weights(model) if is_of_encoder(layer.name)]
    values = {layer.name: _converted(layer, found) for layer in layers}
    for layer in layers:
        _check_alike(layer, values[layer.name], network, weights)
    taken, fresh = _take(layers, values)
    lines = [f"{network.encoder}: {len(taken)} layers start from {weights}"]
    others = [layer.name for layer in _with_weights(model) if layer.name not in taken]
    why = " (the file has no classifier)" if any(name in _DENSE for name in fresh) else ""
    return lines + _fresh_lines(others, why)


def is_of_encoder(layer_name: str) -> bool:
    """Say whether published weights, or those of a run with other classes, could be a layer's by its name."""
    return not _DECODER.fullmatch(layer_name)


def _with_weights(model: Any) -> list[Any]:
    return [layer for layer in model.layers if layer.weights]


def _converted(layer: Any, found: Mapping[str, Weights]) -> Weights:
    """Return the weights for a layer by its name; a dense kernel over (7, 7, 512) becomes a convolution's."""
    dense = _DENSE.get(layer.name)
    if dense is None or dense not in found:
        return found.get(layer.name, [])
    kernel, bias = found[dense]
    shape = tuple(layer.kernel.shape)
    return [kernel.reshape(shape), bias] if kernel.size == np.prod(shape) else [kernel, bias]


def _check_alike(layer: Any, values: Weights, network: NetworkOptions, weights: str) -> None:
    """Raise ModelError unless a layer of the encoder has its weights; only VGG16's dense ones may be missing."""
    origin = "" if ENCODERS[network.encoder].weights_package else " of keras.applications"
    expected = f"expected the {network.encoder}{origin} at width {network.width:g}"
    shapes, given = [tuple(each.shape) for each in layer.weights], [value.shape for value in values]
    if not given and layer.name not in _DENSE:
        raise ModelError(f"{weights}: holds no layer {layer.name}; {expected}")
    if given and shapes != given:
        raise ModelError(f"{weights}: {layer.name} is {given[0]}, the network's {shapes[0]}; {expected}")


def _take(layers: Iterable[Any], weights: Mapping[str, Weights]) -> tuple[list[str], list[str]]:
    """Set the weights of the layers whose name and shapes are alike; return the names of those, and of the others."""
    taken: list[str] = []
    fresh: list[str] = []
    for layer in layers:
        values = weights.get(layer.name, [])
        alike = [tuple(each.shape) for each in layer.weights] == [value.shape for value in values]
        if alike:
            layer.set_weights(values)
        (taken if alike else fresh).append(layer.name)
    return taken, fresh


def _taken_line(taken: list[str], fresh: list[str], source: str) -> str:
    return f"{len(taken)} of {len(taken) + len(fresh)} layers start from {source}"


def _fresh_lines(fresh: list[str], why: str) -> list[str]:
    if not fresh:
        return []
    more = f" and {len(fresh) - _SHOWN} more" if len(fresh) > _SHOWN else ""
    return [f"fresh: {', '.join(fresh[:_SHOWN])}{more}{why}"]
