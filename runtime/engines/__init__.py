"""What runs a model. Add an engine in backends/, with a row in registry.py."""
