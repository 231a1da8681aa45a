"""One explicit training loop, and all that a run leaves."""
