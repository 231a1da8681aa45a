"""Where masks go. Add a kind in kinds/, with a row in registry.py."""
