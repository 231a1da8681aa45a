"""Run lengths of masks, 0 and 1 by turns: COCO's down the columns (pycocotools, maskApi.c), CVAT's along the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import DataError
from edgeseg.core.geometry import Size
from edgeseg.data.reading.json_fields import whole


def mask_from_rle(counts: Any, size: Size, where: str) -> NDArray[np.bool_]:
    """Return the (H, W) mask of run lengths: a list (uncompressed) or a text (compressed).

    Raises DataError, naming `where`, for what is neither or does not cover the mask exactly.
    """
    if isinstance(counts, str):
        counts = _decompressed(counts, where)
    return np.ascontiguousarray(_values(counts, size, where).reshape(size.width, size.height).T)


def mask_from_row_rle(counts: list[int], size: Size, where: str) -> NDArray[np.bool_]:
    """Return the (H, W) mask of run lengths along the rows. Raises DataError, naming `where`, as `mask_from_rle`."""
    return _values(counts, size, where).reshape(size)


def _values(counts: Any, size: Size, where: str) -> NDArray[np.bool_]:
    runs = [whole(run) for run in counts] if isinstance(counts, list) else [None]
    if not all(run is not None and run >= 0 for run in runs):
        raise DataError(f"{where}: RLE counts are no run lengths; expected whole numbers from 0 or a compressed text")
    covered = sum(run or 0 for run in runs)
    if covered != size.height * size.width:
        raise DataError(f"{where}: RLE covers {covered} pixels; expected {size.height * size.width}, {size}")
    return np.repeat(np.arange(len(runs)) % 2 == 1, np.array(runs, np.int64))


def _decompressed(text: str, where: str) -> list[int]:
    """Undo the compression: 5 bits a character from `0` on, the sixth says that more follow; from the fourth run on,
    the difference to the run before the last.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise DataError(f"{where}: RLE holds {character!r}; expected the compressed text of COCO's mask API")
        value |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            if bits & 0x10:
                value -= 1 << shift
            runs.append(value + runs[-2] if len(runs) > 2 else value)
            value = shift = 0
    if shift:
        raise DataError(f"{where}: RLE ends within a number; expected the whole compressed text")
    return runs
