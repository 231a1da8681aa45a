"""One file an engine; its row stands in ../registry.py. No engine imports another."""
