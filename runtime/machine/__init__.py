"""What this computer is, and what it and its processes do."""
