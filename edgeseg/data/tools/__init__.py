"""What `edgeseg data` does with any data set: check, convert, pack."""
