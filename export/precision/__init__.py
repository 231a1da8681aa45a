"""fp16 and int8: what is written, which layers stay in float, how fast it is."""
