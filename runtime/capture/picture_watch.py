"""Pictures that show nothing of now: a camera that repeats itself, a dark one, one colour all over."""

from __future__ import annotations

import time
import zlib

import numpy as np
from numpy.typing import NDArray

from edgeseg.runtime.states import Reason

SAMPLE_STEP = 16  # every 16th pixel of every 16th row: 3600 of 1280x720
_DARK = 16  # grey levels: video black, and the noise of a covered lens
_UNIFORM = 2  # grey levels between the darkest and the brightest of one colour all over
_OUTLIERS_PERCENT = 1.0  # hot pixels of a dark sensor


class PictureWatch:
    """Says of each picture of a stream why its mask would not be one of now, or None.

    `frozen`: not one byte has changed for `frozen_s`, which a sensor's noise makes impossible; `black`: 99 % of the
    pixels are dark; `blank`: one colour all over, as from a decoder without data. What changes is seen by a sample;
    only where that is the same is the whole picture compared, by its CRC-32.
    """

    def __init__(self, frozen_s: float) -> None:
        self._frozen_s = frozen_s
        self._sample: NDArray[np.uint8] | None = None
        self._checksum: int | None = None
        self._changed_at = 0.0

    def reason(self, picture: NDArray[np.uint8], now: float | None = None) -> Reason | None:
        """Take the next picture, (H, W, 3) uint8; `now` is in monotonic seconds."""
        now = time.monotonic() if now is None else now
        sample = picture[SAMPLE_STEP // 2 :: SAMPLE_STEP, SAMPLE_STEP // 2 :: SAMPLE_STEP].copy()
        if not sample.size:  # smaller than one step
            sample = picture.copy()
        self._note_change(picture, sample, now)
        if now - self._changed_at >= self._frozen_s:
            return Reason.FROZEN
        return _emptiness(sample)

    def _note_change(self, picture: NDArray[np.uint8], sample: NDArray[np.uint8], now: float) -> None:
        if self._sample is None or not np.array_equal(sample, self._sample):
            self._sample, self._checksum, self._changed_at = sample, None, now
            return
        checksum = zlib.crc32(np.ascontiguousarray(picture).data)
        if self._checksum is not None and checksum != self._checksum:
            self._changed_at = now
        self._checksum = checksum


def _emptiness(sample: NDArray[np.uint8]) -> Reason | None:
    low, high = np.percentile(sample, (_OUTLIERS_PERCENT, 100 - _OUTLIERS_PERCENT), axis=(0, 1))
    if high.max() <= _DARK:
        return Reason.BLACK
    return Reason.BLANK if (high - low).max() <= _UNIFORM else None
