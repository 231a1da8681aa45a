"""Semantic segmentation on embedded NVIDIA GPUs: train, export to ONNX, stream a camera, time every frame."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("edgeseg")
except PackageNotFoundError:  # a source tree on sys.path that was never installed
    __version__ = "0+unknown"
