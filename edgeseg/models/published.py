"""Published ImageNet weights, by the library's own loader or from a file that was brought along."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import ModelError, UsageError, one_line
from edgeseg.models.applications import library_model
from edgeseg.models.options import NetworkOptions
from edgeseg.models.registry import ENCODERS, WeightsPackage
from edgeseg.models.torch_file import read_torch_file
from edgeseg.models.weights_package import weights_file
from edgeseg.tf import first_line, keras

Weights = list[NDArray[np.float32]]
SUFFIXES = (".keras", ".h5", ".hdf5")
TORCH_SUFFIX = ".pth"


def published_weights(network: NetworkOptions, weights: str, top: bool) -> dict[str, Weights]:
    """Return an encoder's published weights by the name of its layers, in Keras's order and layout.

    Args:
        network: names encoder and width.
        weights: `imagenet`, or the path of a file. For encoders of keras.applications one that holds the library's
            model or its weights, with or without the classifier: `.keras`, `.h5` or `.weights.h5`; for
            EfficientNet-Lite one of torch's, `.pth`.
        top: the classifier's layers are wanted, if there are any.

    Raises:
        ModelError: missing, damaged or another network's, or the download failed: the line says which file to bring.
    """
    package = ENCODERS[network.encoder].weights_package
    if package:
        return _from_torch(network, weights, package)
    source = _library_model(network, weights, top)
    return {layer.name: layer.get_weights() for layer in source.layers if layer.weights}


def _from_torch(network: NetworkOptions, weights: str, package: WeightsPackage) -> dict[str, Weights]:
    from edgeseg.models.efficientnet_lite import weights_by_layer

    if weights == "imagenet":
        tensors = read_torch_file(weights_file(network.encoder, package), package.sha256)
    else:
        path = Path(weights)
        _check(path, (TORCH_SUFFIX,))
        tensors = read_torch_file(path)
    return weights_by_layer(tensors, network.encoder)


def _library_model(network: NetworkOptions, weights: str, top: bool) -> Any:
    if weights == "imagenet":
        return _downloaded(network, top)
    path = Path(weights)
    _check(path, SUFFIXES)
    try:
        if path.suffix == ".keras":
            return keras.saving.load_model(path, compile=False)
        return _from_hdf5(network, path)
    except ModelError:
        raise
    except Exception as error:  # Keras raises nearly anything: zipfile, HDF5, JSON, value and type errors
        raise ModelError(f"{path}: {_not_loaded(network, error)}") from error


def _not_loaded(network: NetworkOptions, error: Exception) -> str:
    return (
        f"cannot be loaded ({first_line(error)}); expected the whole file of keras.applications' weights of "
        f"{network.encoder} at width {network.width:g}"
    )


def _check(path: Path, suffixes: tuple[str, ...]) -> None:
    expected = "a .pth file" if suffixes == (TORCH_SUFFIX,) else "a .keras, .h5 or .weights.h5 file"
    try:
        is_file = path.is_file()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); expected a file of weights") from error
    if not is_file:
        raise ModelError(f"weights {path}: no such file; expected none, imagenet, or {expected}")
    if path.suffix not in suffixes:
        raise UsageError(f"weights {path}: {path.suffix or 'no suffix'}; expected {expected}")


def _from_hdf5(network: NetworkOptions, path: Path) -> Any:
    """Files of weights name no layers that can be relied on: the library's model reads them, in its order."""
    numbers = _numbers_in(path)
    model = library_model(network.encoder, alpha=network.width)
    if numbers > model.count_params():
        model = library_model(network.encoder, alpha=network.width, top=True)
    if numbers != model.count_params():
        raise ModelError(
            f"{path}: holds {numbers:,} weights, {network.encoder} at width {network.width:g} has "
            f"{model.count_params():,}; expected the weights of that network"
        )
    model.load_weights(path)
    return model


def _numbers_in(path: Path) -> int:
    import h5py

    numbers = 0

    def count(name: str, item: Any) -> None:
        nonlocal numbers
        if isinstance(item, h5py.Dataset) and item.dtype.kind == "f" and "optimizer" not in name:
            numbers += item.size

    with h5py.File(path, "r") as file:
        file.visititems(count)
    return numbers


def _downloaded(network: NetworkOptions, top: bool) -> Any:
    try:
        return library_model(network.encoder, weights="imagenet", top=top, alpha=network.width)
    except Exception as error:  # urllib's, as plain Exception; a full disk; a file whose hash is wrong
        address = re.search(r"https?://[^\s:]\S*?\.h5", str(error))
        file = address[0] if address else f"the weights of {network.encoder} from keras.io/api/applications"
        raise ModelError(
            f"the ImageNet weights of {network.encoder} cannot be downloaded ({_reason(error)}); "
            f"fetch {file} where there is internet, and give it by --weights FILE"
        ) from error


def _reason(error: Exception) -> str:
    reason = re.sub(r"URL fetch failure on \S+ ", "", one_line(error))
    return reason.removeprefix("None -- ")[:160] or type(error).__name__
