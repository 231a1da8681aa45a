"""What a machine has for a camera, what is missing, and the remedy."""
