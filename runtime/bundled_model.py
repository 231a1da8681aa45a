"""The model that comes with edgeseg, for a first try: it has seen nothing but drawn scenes."""

from __future__ import annotations

from pathlib import Path

from edgeseg.errors import UsageError
from edgeseg.runtime.source import Source

BUNDLED_MODEL = Path(__file__).with_name("bundled") / "scenes.onnx"
"""FCN-8, compact encoder, 320x192, for frames of 1280x720; `make bundled-model` trains it and writes it here."""


def model_for(model: Path | None, source: Source) -> Path:
    """Return the model that was given, or the bundled one for drawn scenes.

    Raises:
        UsageError: none was given for other pictures, of which the bundled one knows nothing.
    """
    if model is not None:
        return model
    if source.kind != "scenes":
        raise UsageError(
            f"no --model for {source.uri}; expected an ONNX file from edgeseg export, or any with --spec "
            "(the model that comes with edgeseg knows nothing but scenes://)"
        )
    return BUNDLED_MODEL
