"""One file a kind of source; its row stands in ../registry.py. No kind imports another."""
