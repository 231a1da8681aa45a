"""The contracts that every part shares. NumPy, click and the standard library only."""
