"""Each sort of fuzzed input: one file here, one row of FUZZERS in fuzzing.py."""
