"""Segmentation networks as Keras models. Add an encoder or an architecture: one file, and one row of registry.py."""
