"""Semantic segmentation on embedded NVIDIA GPUs: train, export to ONNX, stream a camera, time every frame."""

import os
from importlib.metadata import PackageNotFoundError, version

# ONNX Runtime's wheels send Microsoft what runs where, unless this is set before they are loaded (its Privacy.md).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

try:
    __version__ = version("edgeseg")
except PackageNotFoundError:  # a source tree on sys.path that was never installed
    __version__ = "0+unknown"
