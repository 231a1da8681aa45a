"""CVAT's own XML and its archives: shapes, tracks, and where the pictures lie."""
