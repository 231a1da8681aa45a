"""Where frames come from. Add a kind in kinds/, with a row in registry.py."""
