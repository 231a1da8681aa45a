"""Segmentation networks as Keras models, by name. Importing this package does not import TensorFlow; building does."""

from edgeseg.models.registry import ARCHITECTURES, build_model, check_input_size, load_model, preprocessing

__all__ = ["ARCHITECTURES", "build_model", "check_input_size", "load_model", "preprocessing"]
