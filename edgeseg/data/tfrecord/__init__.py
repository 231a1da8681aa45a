"""TFRecord files without TensorFlow."""
