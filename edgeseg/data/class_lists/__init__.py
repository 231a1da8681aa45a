"""Class lists in text files, and what they make of mask files."""
