"""The live page: what the camera sees and what the model makes of it, in a browser."""
