"""A mask as a person looks at it: classes over the picture, legend, figures, and a red frame when it is not of now."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from edgeseg.core.geometry import Size, place_through
from edgeseg.drawing.captions import Captions, mark_guessed
from edgeseg.drawing.overlay import mark_stale, overlay
from edgeseg.runtime.sinks.base import Delivery, SinkContext
from edgeseg.runtime.states import Status

_SMOOTHING = 0.1  # of the frame rate shown: a figure that flickers cannot be read


class Drawer:
    """Draws masks of pictures of one size, into one buffer."""

    def __init__(self, context: SinkContext, size: Size) -> None:
        spec = context.spec
        self.size = size
        self._classes, self._guessed = spec.classes, spec.guessed
        self._settings = context.settings
        self._placement = place_through(context.graph_size, size, spec.input_size, spec.fit, spec.crop)
        self._captions = Captions(spec.classes, size, context.settings.legend)
        self._buffer = np.empty((*size, 3), np.uint8)
        self._period_s = 0.0
        self._drawn_at = 0.0

    def draw(self, delivery: Delivery) -> NDArray[np.uint8]:
        """Return the drawn picture: (H, W, 3) uint8, BGR; valid until the next one."""
        self._count()
        opacity = self._settings.opacity
        drawn = overlay(delivery.picture, delivery.class_map, self._placement, self._classes, opacity, out=self._buffer)
        if self._settings.legend:
            self._captions.write(drawn, self._caption(delivery))
        mark_guessed(drawn, self._guessed)
        if delivery.record.status == Status.STALE:
            mark_stale(drawn)
        return drawn

    def _caption(self, delivery: Delivery) -> str:
        record = delivery.record
        rate = f"{1 / self._period_s:.1f} fps  " if self._period_s else ""
        state = f"  {record.status}: {record.reason}" if record.status != Status.OK else ""
        return f"{rate}{record.ms.get('capture_to_mask', 0.0):.1f} ms{state}"

    def _count(self) -> None:
        now = time.monotonic()
        if self._drawn_at:
            period = now - self._drawn_at
            self._period_s += (period - self._period_s) * (_SMOOTHING if self._period_s else 1.0)
        self._drawn_at = now
