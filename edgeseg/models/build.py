"""From options to a Keras model, and from a file."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from edgeseg.core.errors import ModelError
from edgeseg.core.geometry import Size
from edgeseg.models.options import NetworkOptions, check_input_size, options_of
from edgeseg.models.registry import ARCHITECTURES


def build_model(network: NetworkOptions | str, input_size: Size, classes: int, **options: Any) -> Any:
    """Build an untrained network.

    Args:
        network: its options, or an architecture's name.
        input_size: fixed, because a free size puts Shape, Slice and Pad nodes into the exported graph.
        classes: number of classes.
        options: beside an architecture's name, fields of NetworkOptions.

    Returns:
        keras.Model from (N, H, W, 3) float32, normalised as `preprocessing` says, to (N, H, W, classes) float32 logits.

    Raises:
        UsageError: unknown architecture, a size that it cannot take, or options that do not go together.

    Example:
        build_model("fcn8", Size(160, 576), 11, encoder="compact", width=1)
    """
    chosen = options_of(network, **options)
    check_input_size(chosen, input_size)
    module, _, function = ARCHITECTURES[chosen.architecture].builder.partition(":")
    return getattr(import_module(module), function)(input_size, classes, chosen)


def seed_weights(seed: int) -> None:
    """Make the first weights of what is built next a function of the seed alone, whatever was built before."""
    from edgeseg.tf import keras

    keras.utils.set_random_seed(seed)
    # Keras 3.12, the newest for Python 3.10, goes on with the generator that serves draws without a seed of their own.
    import_module("keras.src.backend.common.global_state").set_global_attribute("global_seed_generator", None)


def load_model(path: Path) -> Any:
    """Load a `.keras` file. Raises ModelError for a file that is missing, half-written or no model of edgeseg."""
    from edgeseg.models import batch_norm, bilinear, depthwise  # noqa: F401  (registers what files name)
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
