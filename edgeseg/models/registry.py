"""The table of architectures. A new one is one file and one line here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from edgeseg.errors import ModelError, UsageError, nearest
from edgeseg.geometry import Size

Channels = tuple[float, float, float]


@dataclass(frozen=True)
class Architecture:
    """Where a network is built, and what it asks of its input.

    Attributes:
        builder: `module:function(input_size, classes, width, dropout, batch_norm) -> keras.Model`.
        stride: width and height must be multiples of it: the network halves and doubles them without a remainder.
        encoder: the feature extractor's name, for the spec.
    """

    builder: str
    stride: int
    encoder: str


ARCHITECTURES = {
    "fcn8": Architecture("edgeseg.models.fcn8:fcn8", 32, "vgg16"),
    "unet": Architecture("edgeseg.models.unet:unet", 8, "unet"),
}


def preprocessing(architecture: str) -> tuple[str, Channels, Channels]:
    """Return colour order, mean and scale of the network's input: (pixel - mean) * scale.

    The mean is ImageNet's as VGG16 subtracts it; the scale gives inputs of about unit variance, which suits networks
    that are trained from scratch.
    """
    _find(architecture)
    return "bgr", (103.939, 116.779, 123.68), (1 / 57.375, 1 / 57.375, 1 / 57.375)


def check_input_size(architecture: str, size: Size) -> None:
    """Raise UsageError, with the next size that fits, if the network cannot take `size`; also if it is unknown."""
    stride = _find(architecture).stride
    if size.height % stride or size.width % stride:
        fitting = Size(*(-(-side // stride) * stride for side in size))
        raise UsageError(
            f"{architecture} takes sizes that are multiples of {stride}; {size} is not: use {fitting}",
        )


def build_model(
    architecture: str,
    input_size: Size,
    classes: int,
    width: float = 0.25,
    dropout: float = 0.2,
    batch_norm: bool = True,
) -> Any:
    """Build an untrained network.

    Args:
        architecture: a key of ARCHITECTURES.
        input_size: fixed, because a free size puts Shape, Slice and Pad nodes into the exported graph.
        classes: number of classes.
        width: multiplies the published numbers of filters.
        dropout: share of features dropped in training.
        batch_norm: normalise after every convolution, as a network that is not pretrained needs.

    Returns:
        keras.Model from (N, H, W, 3) float32, normalised as `preprocessing` says, to (N, H, W, classes) float32 logits.

    Raises:
        UsageError: unknown architecture, a size that it cannot take, or a setting out of range.
    """
    check_input_size(architecture, input_size)
    if not 0 < width <= 4:
        raise UsageError(f"width {width}; expected a factor above 0 and up to 4, for example 0.25")
    if not 0 <= dropout < 1:
        raise UsageError(f"dropout {dropout}; expected a share from 0 to below 1, for example 0.2")
    module, _, function = _find(architecture).builder.partition(":")
    return getattr(import_module(module), function)(input_size, classes, width, dropout, batch_norm)


def load_model(path: Path) -> Any:
    """Load a `.keras` file. Raises ModelError for a file that is missing, half-written or no model of edgeseg."""
    from edgeseg.models import bilinear  # noqa: F401  (registers the initialiser that the file names)
    from edgeseg.tf import first_line, keras

    try:
        is_file = path.is_file()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); expected the model.keras of a run") from error
    if not is_file:
        raise ModelError(f"{path}: no such model file; expected the model.keras of a run")
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises nearly anything: zipfile, HDF5, JSON, value and type errors
        raise ModelError(
            f"{path}: cannot be loaded ({first_line(error)}); expected a .keras file written by edgeseg"
        ) from error


def _find(architecture: str) -> Architecture:
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise UsageError(f"model {architecture!r} is unknown{nearest(architecture, ARCHITECTURES)}; known: {known}")
    return ARCHITECTURES[architecture]
