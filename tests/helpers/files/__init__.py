"""Files in forms that no library here writes, made by hand."""
