"""One file a data format; its row stands in ../registry.py. No format imports another."""
