"""Keras model -> ONNX camera graph -> proof. Needs the extra `export`."""
