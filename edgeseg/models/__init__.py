"""Segmentation networks as Keras models, by name. Importing this package does not import TensorFlow; building does."""

from edgeseg.models.building import build_model, load_model
from edgeseg.models.options import NetworkOptions, check_input_size, preprocessing
from edgeseg.models.registry import ARCHITECTURES, ENCODERS

__all__ = [
    "ARCHITECTURES",
    "ENCODERS",
    "NetworkOptions",
    "build_model",
    "check_input_size",
    "load_model",
    "preprocessing",
]
