"""The `edgeseg` command: one file a subcommand. Each parses, calls and prints."""
