"""The live page without a camera, and viewers without a browser."""
