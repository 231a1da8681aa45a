"""Faults and fuzzed inputs, thrown at edgeseg and judged: `python -m tests.faults`, `make test-faults`."""
