"""Tests, one folder a room of the code; helpers/ is what they share."""
