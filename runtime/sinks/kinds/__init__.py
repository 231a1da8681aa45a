"""One file a kind of sink; its row stands in ../registry.py. No kind imports another."""
