"""A capture process that a drive's seventh frame kills, as a picture can that trips over a fault of a decoder."""

from __future__ import annotations

import os
from unittest import mock

from edgeseg.runtime.capture import worker
from edgeseg.runtime.sources.kinds.scenes import ScenesReader
from edgeseg.runtime.sources.reader import Frame

POISON = 7


class PoisonedReader(ScenesReader):
    def read(self, buffer: Frame | None) -> Frame | None:
        if self._next == POISON:
            os.abort()
        return super().read(buffer)


def main() -> None:
    with mock.patch.object(worker, "open_reader", lambda source, is_alive: PoisonedReader(source)):
        worker.main()
