"""A model's spec as lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from edgeseg.spec import ModelSpec


def spec_lines(spec: ModelSpec) -> Iterator[str]:
    """Yield what a user reads of a spec."""
    frames = f"frames of {spec.camera_size}, " if spec.camera_size else ""
    yield f"spec: {spec.name}, {frames}network {spec.input_size}, fit {spec.fit}, {spec.precision}"
    yield f"classes: {', '.join(spec.classes.names)}"
    if spec.trained_on:
        reached = ", ".join(f"{name} {value:.4g}" for name, value in spec.metrics.items())
        yield f"trained on {spec.trained_on}{f', reached {reached}' if reached else ''}"
    if spec.versions:
        yield f"made with {', '.join(f'{name} {version}' for name, version in spec.versions.items())}"
