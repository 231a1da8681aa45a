"""The commands of the vehicle side. Each parses, calls and prints."""
