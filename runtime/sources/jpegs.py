"""JPEG pictures that are decoded here, one by one, so that damage in them is seen."""

from __future__ import annotations

import os

import cv2
import numpy as np

from edgeseg.core.errors import SourceError
from edgeseg.core.pictures.damage import damage_of
from edgeseg.core.pictures.jpeg import damage_in
from edgeseg.runtime.sources.picture_limit import is_refusal, too_large
from edgeseg.runtime.sources.reader import Frame


class JpegLog:
    """Takes what libjpeg says of one picture, on standard error alone. A context manager, used again and again.

    A picture whose data are wrong inside decodes all the same: a damaged one would pass for good. Standard error is the
    process's: not for a process in which other threads write there.

    Attributes:
        damage: what libjpeg found wrong in the last picture; None if it found nothing.
    """

    def __init__(self) -> None:
        self._log = os.memfd_create("edgeseg-jpeg", os.MFD_CLOEXEC)
        self.damage: str | None = None

    def __enter__(self) -> JpegLog:
        self._stderr = os.dup(2)
        os.dup2(self._log, 2)
        return self

    def __exit__(self, *_: object) -> None:
        os.dup2(self._stderr, 2)
        os.close(self._stderr)
        said = os.pread(self._log, os.fstat(self._log).st_size, 0)
        self.damage = damage_in(said.decode(errors="replace")) if said else None
        if said:
            os.ftruncate(self._log, 0)
            os.lseek(self._log, 0, os.SEEK_SET)


def decode(content: bytes, log: JpegLog) -> tuple[Frame | None, str | None]:
    """Return a JPEG's picture, (H, W, 3) uint8 BGR, if there is one, and what is damaged in it, if anything is.

    Raises:
        SourceError: it is too large.
    """
    damage = damage_of(content)
    try:
        with log:
            picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    except cv2.error as error:
        if is_refusal(error):
            raise SourceError(f"it sends pictures {too_large()}") from error
        return None, damage
    return None if picture is None else np.asarray(picture, np.uint8), damage or log.damage
