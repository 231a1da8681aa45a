"""Model specs: read, shown, drawn, written again."""

from __future__ import annotations

import json
import math
from pathlib import Path
from random import Random

import numpy as np

from edgeseg.core.geometry import Size
from edgeseg.core.spec import ModelSpec, spec_lines
from edgeseg.runtime.records import FrameRecord
from edgeseg.runtime.settings import SinkSettings
from edgeseg.runtime.sinks.base import Delivery, Playback, SinkContext
from edgeseg.runtime.sinks.drawing import Drawer
from tests.faults.fuzzing import Fuzzer, WrongError
from tests.faults.mutate import json_text
from tests.helpers.colour_model import COLOUR_SPEC

_PICTURE = Size(48, 64)


class SpecFuzzer(Fuzzer):
    """What is taken is drawn with its legend, and must be itself again after it was written."""

    codes = frozenset({4})

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._valid = json.loads(COLOUR_SPEC.to_json()) | {
            "camera_size": "64x48",
            "crop": [0, 0, 1, 1],
            "options": {"width": 0.5},
            "metrics": {"miou": 0.5},
            "versions": {"edgeseg": "1"},
            "trained_on": "folder:x",
            "tensors": {"input": "", "layout": "nchw", "output": "", "gives": "logits"},
        }

    def make(self, draw: Random) -> str:
        return json_text(self._valid, draw)

    def use(self, made: str) -> str:
        spec = ModelSpec.from_json(made, "spec.json")
        numbers = [*spec.mean, *spec.scale, *spec.metrics.values(), *(spec.crop or ())]
        if not all(isinstance(number, (int, float)) and math.isfinite(number) for number in numbers):
            raise WrongError(f"numbers that are none: {numbers}")
        if ModelSpec.from_json(spec.to_json()) != spec:
            raise WrongError(f"another spec when it is read again: {spec}")
        context = SinkContext("", self.folder, spec, _PICTURE, Playback(30.0, keep_time=False), SinkSettings())
        mask = np.zeros((4, 4), np.uint8)
        picture = np.zeros((*_PICTURE, 3), np.uint8)
        Drawer(context, _PICTURE).draw(Delivery(FrameRecord(0, 0.0, ms={"capture_to_mask": 1.0}), 0.0, picture, mask))
        shown = "\n".join(spec_lines(spec))
        shown.encode(errors="surrogateescape")  # as a file's name that is no UTF-8 may be, and nothing else
        return shown
