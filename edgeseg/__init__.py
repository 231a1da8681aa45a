"""Semantic segmentation on embedded NVIDIA GPUs: train, export to ONNX, stream a camera, time every frame."""

import os
from typing import TYPE_CHECKING

# ONNX Runtime's wheels send Microsoft what runs where, unless this is set before they are loaded (its Privacy.md).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name):  # importlib.metadata is a tenth of what `--help` would cost
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("edgeseg")
        except PackageNotFoundError:  # a source tree on sys.path that was never installed
            return "0+unknown"
