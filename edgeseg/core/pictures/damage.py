"""Whether a picture file is whole, by its structure: lengths, checksums and end marks. No pixel is decoded.

Decoders go on over much of this, and what they give looks like a picture.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from edgeseg.core.pictures import bmp, jpeg, png, tiff, webp
from edgeseg.core.pictures.error import DamagedPictureError

_CHECKS: tuple[tuple[bytes, Callable[[bytes], None]], ...] = (
    (png.SIGNATURE, png.check),
    (jpeg.SIGNATURE, jpeg.check),
    (webp.SIGNATURE, webp.check),
    (bmp.SIGNATURE, bmp.check),
    *((signature, tiff.check) for signature in tiff.SIGNATURES),
)


def damage_of(content: bytes) -> str | None:
    """Return what shows that a picture file is not whole, for example `cut short: it has no end mark`.

    PNG (every chunk's CRC), JPEG (markers), WebP (chunks), TIFF and BMP (where their pixels lie); None for a file that
    is sound as far as its structure tells, and for any other kind.
    """
    if not content.strip(b"\0"):
        return f"{len(content)} bytes, all of them zero" if content else "empty"
    check = next((check for signature, check in _CHECKS if content.startswith(signature)), None)
    try:
        if check is not None:
            check(content)
    except DamagedPictureError as error:
        return str(error)
    except (struct.error, IndexError):  # a number or a field behind the end
        return f"cut short after {len(content)} bytes"
    return None
