"""The largest picture that is decoded: what a file or camera states of its size costs memory before it is seen.

One byte of a PNG can stand for a thousand pixels: 875 kB that state 30000x30000 took 3.6 GB.
"""

from __future__ import annotations

import os

from edgeseg.core.errors import SourceError
from edgeseg.core.geometry import SIZE_8K

_DEFAULT = SIZE_8K.height * SIZE_8K.width
_NO_MEMORY = -4  # cv2.Error.StsNoMem; this module comes before OpenCV
OPENCV_VARIABLE = "OPENCV_IO_MAX_IMAGE_PIXELS"
"""OpenCV reads it once, when it is loaded, and then refuses larger pictures before it takes memory for them."""


def limit_of(max_pixels: int) -> dict[str, str]:
    """Return the variables for a process whose OpenCV, and whose `check_pixels`, allow at most so many pixels."""
    return {OPENCV_VARIABLE: str(max_pixels)}


def limit_here(max_pixels: int = _DEFAULT) -> None:
    """Limit this process. Call it before OpenCV is loaded."""
    os.environ.update(limit_of(max_pixels))


def check_pixels(where: str, height: float, width: float) -> None:
    """Raise SourceError, which begins with `where`, for a picture larger than this process may decode."""
    allowed = _allowed()
    if height * width > allowed:
        raise SourceError(
            f"{where}: pictures of {width:.0f}x{height:.0f}; expected at most {allowed} pixels: "
            "--max-pixels allows more"
        )


def is_refusal(error: Exception) -> bool:
    """Whether OpenCV refused a picture for its size, asked of what it raised while it decoded one.

    Raises:
        MemoryError: there is no memory for it. That is no damage: who goes on would pass over every picture.
    """
    if getattr(error, "code", None) == _NO_MEMORY:
        raise MemoryError("OpenCV has no memory for a picture") from error
    return "CV_IO_MAX_IMAGE" in str(error)


def too_large() -> str:
    """Return what is to be said of a picture that OpenCV refused for its size, which it does not tell."""
    return f"larger than {_allowed()} pixels, which --max-pixels allows"


def _allowed() -> int:
    text = os.environ.get(OPENCV_VARIABLE, "")
    return int(text) if text.isdecimal() else _DEFAULT
