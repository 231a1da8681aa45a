"""What the checks of picture files share."""

from __future__ import annotations


class DamagedPictureError(Exception):
    """A picture file is not whole; the text says what shows it. For `edgeseg.core.pictures.damage` alone."""
