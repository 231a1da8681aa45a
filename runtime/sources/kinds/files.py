"""`file://`, a plain path, a folder or a glob: pictures."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgeseg.core.errors import DataError, SourceError
from edgeseg.core.pictures import webp
from edgeseg.core.pictures.damage import damage_of
from edgeseg.core.pictures.depth import depth_of, eight_bits, take_notes
from edgeseg.runtime.sources.addresses import DEFAULT_FOLDER_FPS, image_paths
from edgeseg.runtime.sources.jpegs import JpegLog
from edgeseg.runtime.sources.picture_limit import is_refusal, too_large
from edgeseg.runtime.sources.reader import DamagedFrameError, Frame, Reader
from edgeseg.runtime.sources.source import Source

_NAMED = 5  # damaged pictures in a remark, which is one message


class ImageReader(Reader):
    """Picture files, in the order of their names. Of several, one that cannot be read is passed over and named."""

    follows = False

    def __init__(self, source: Source) -> None:
        self._source = source
        self._log = JpegLog()
        self._damaged: dict[str, str] = {}
        self._unreadable: dict[str, str] = {}
        self.fps = source.fps or DEFAULT_FOLDER_FPS
        self.rewind()

    def read(self, buffer: Frame | None) -> Frame | None:
        path = next(self._paths, None)
        if path is None:
            return None
        try:
            frame, damage = read_image(path, self._log)
        except SourceError as error:
            self._unreadable[path.name] = f"{path.name} ({str(error).partition(': ')[2].partition(';')[0]})"
            if self._is_alone:
                raise
            raise DamagedFrameError(str(error)) from error
        self.is_corrupt = damage is not None
        if damage is not None:
            self._damaged[path.name] = f"{path.name} ({damage})"
        return frame

    def remarks(self) -> Iterator[str]:
        yield from take_notes()
        if self._damaged:
            yield f"damaged pictures, whose masks are stale (corrupt): {_first(self._damaged)}"
        if self._unreadable:
            yield f"pictures that cannot be read, passed over: {_first(self._unreadable)}"

    def rewind(self) -> None:
        paths = image_paths(self._source)
        self._is_alone, self._paths = len(paths) == 1, iter(paths)


def _first(said: dict[str, str]) -> str:
    others = [f"and {len(said) - _NAMED} more"] if len(said) > _NAMED else []
    return ", ".join([*islice(said.values(), _NAMED), *others])


def read_image(path: Path, log: JpegLog) -> tuple[Frame, str | None]:
    """Read a picture as (H, W, 3) uint8 BGR, turned upright, and tell what is damaged in it; None for a sound one.

    Raises:
        SourceError: nothing of it can be shown.
    """
    content, image, damage = b"", None, None
    try:
        content = path.read_bytes()
        damage = damage_of(content)
        with log:
            image = _decoded(content, path, damage)
        damage = damage or log.damage or webp.damage_behind(content, image, _flat)
    except (OSError, cv2.error) as error:  # the latter for an empty file, too
        if is_refusal(error):
            raise SourceError(f"{path}: {too_large()}; give more, or leave it out") from error
    if image is None:
        reason = f"damaged ({damage})" if content and damage else "not a picture that can be read"
        raise SourceError(f"{path}: {reason}; expected a complete PNG, JPEG or the like")
    return np.asarray(image, np.uint8), damage


def _decoded(content: bytes, path: Path, damage: str | None) -> Any:
    try:
        depth = None if damage else depth_of(content)
        return _flat(content) if depth is None else eight_bits(content, depth, _deep, path, None)
    except DataError as error:
        raise SourceError(f"{path}: {error}") from error


def _flat(content: bytes) -> Any:
    # Not cv2.imread: a name that is not UTF-8 ends the process.
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def _deep(content: bytes) -> Any:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
