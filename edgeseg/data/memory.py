"""Samples that remember what was read, for small splits that are read every epoch."""

from __future__ import annotations

from collections.abc import Sequence

from edgeseg.data.base import Image, Mask, Sample

MIB = 2**20


class RememberedSample(Sample):
    """A sample that is read once."""

    def __init__(self, sample: Sample) -> None:
        super().__init__(sample.name, sample.classes)
        self._sample = sample
        self._read: tuple[Image, Mask] | None = None

    def read(self) -> tuple[Image, Mask]:
        if self._read is None:
            self._read = self._sample.read()
        return self._read

    def _image(self) -> Image:
        return self.read()[0]

    def _class_map(self) -> Mask:
        return self.read()[1]


def remembered(samples: Sequence[Sample], limit_bytes: int) -> list[Sample]:
    """Return samples that are read once, if all are likely to fit into `limit_bytes`; else the samples as they are.

    The estimate takes the first picture's size for all.
    """
    first = RememberedSample(samples[0])
    if sum(part.nbytes for part in first.read()) * len(samples) > limit_bytes:
        return list(samples)
    return [first, *(RememberedSample(sample) for sample in samples[1:])]
