"""Benchmark, soak and replay: times and masks that can be compared."""
