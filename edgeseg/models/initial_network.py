"""What network a training builds, by where its weights start. Without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgeseg.core.errors import ModelError, UsageError
from edgeseg.core.spec import ModelSpec
from edgeseg.models.options import COMPACT_LEVELS, LIGHT_DECODER_WIDTH, NetworkOptions
from edgeseg.models.registry import ENCODERS

_SHAPES = {
    "width": 0.0,
    "decoder": "published",
    "decoder_width": LIGHT_DECODER_WIDTH,
    "upsampling": "transposed",
    "upsampling_kernel": "per-class",
    "levels": COMPACT_LEVELS,
    "score_stride": 1,
}
"""Options that, when they are at these defaults, are as in the run to start from."""
_ALWAYS = object()


def network_from(architecture: str, weights: str, given: Mapping[str, Any]) -> NetworkOptions:
    """Return the network for an encoder's published weights: `none`, `imagenet` or a file.

    Args:
        architecture: a key of ARCHITECTURES.
        weights: what the encoder starts from.
        given: other fields of NetworkOptions; switches that are left open are not in it.

    Raises:
        UsageError: options that do not go together, or weights that are not published.
    """
    pretrained = weights != "none"
    encoder = NetworkOptions(architecture, given["encoder"]).encoder
    raw = pretrained and encoder == "vgg16"
    decided = {"batch_norm": not raw, "skip_scales": raw and architecture != "unet" and given["decoder"] != "wide"}
    network = NetworkOptions(architecture, pretrained=pretrained, **{**decided, **given})
    published = ENCODERS[network.encoder].imagenet_widths
    if pretrained and not published:
        raise UsageError(f"weights {weights}: {network.encoder} has no published weights; use none, or --init RUN")
    if weights == "imagenet" and network.width not in published:
        widths = ", ".join(f"{width:g}" for width in published)
        raise UsageError(f"width {network.width:g}; {network.encoder} has ImageNet weights at width {widths}: use that")
    return network


def network_like(architecture: str, init: str, weights: str, given: Mapping[str, Any]) -> NetworkOptions:
    """Return the network for starting from an own run: what is left open or at its default is as there.

    Raises:
        UsageError: published weights are asked for too.
        ModelError: the run cannot be read, or has another architecture or encoder.
    """
    if weights != "none":
        raise UsageError(f"weights {weights} and init {init} are both given; the model starts from one: leave one out")
    before = NetworkOptions.from_spec(run_spec(Path(init)))
    changes = {name: value for name, value in given.items() if _SHAPES.get(name, _ALWAYS) != value}
    encoder = changes.pop("encoder") or before.encoder
    if (architecture, encoder) != (before.architecture, before.encoder):
        raise ModelError(
            f"{init} is {before.architecture} on {before.encoder}, this run {architecture} on {encoder}; "
            f"start with --model {before.architecture} --encoder {before.encoder}"
        )
    return NetworkOptions(**{**asdict(before), **changes})


def run_spec(path: Path) -> ModelSpec:
    """Return the spec of a run directory, or of a `.keras` file with its spec.json beside it. Raises ModelError."""
    return ModelSpec.read(path.with_name("spec.json") if path.suffix == ".keras" else path / "spec.json")
