"""How good a model is, and what it makes of pictures."""
