"""Models from elsewhere: what an ONNX file's tensors say, and recipes for models that others publish."""
