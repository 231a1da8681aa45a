"""Recordings with damage: of their head, their records, their pictures."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import numpy as np

from edgeseg.core.geometry import Size
from edgeseg.runtime.records import FrameRecord
from edgeseg.runtime.settings import SinkSettings
from edgeseg.runtime.sinks.base import Delivery, Playback, SinkContext
from edgeseg.runtime.sinks.kinds.recording import FrameRecording, Recording
from tests.faults.fuzzing import Fuzzer
from tests.faults.mutate import damaged, json_text
from tests.helpers.colour_model import COLOUR_SPEC, numbered_frame

_SIZE = Size(24, 32)
_FILES = ("recording.json", "records.jsonl", "frames/00000001.png", "masks/00000001.png")


class RecordingFuzzer(Fuzzer):
    """Read to its end, as a replay does."""

    codes = frozenset({2, 3, 4})

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._path = folder / "drive"
        context = SinkContext("", self._path, COLOUR_SPEC, _SIZE, Playback(30.0, keep_time=False), SinkSettings())
        sink = FrameRecording(context)
        mask = np.zeros(COLOUR_SPEC.input_size, np.uint8)
        for index in range(3):
            record = FrameRecord(index, 1.0, ms={"inference": 1.0, "frame": 2.0})
            sink.write(Delivery(record, 1.0, numbered_frame(index, _SIZE), mask))
        sink.close()
        self._valid = {name: (self._path / name).read_bytes() for name in _FILES}

    def make(self, draw: Random) -> tuple[str, bytes]:
        name = draw.choice((*_FILES[:2], *_FILES))
        content = self._valid[name]
        if name == "records.jsonl" and draw.random() < 0.7:
            lines = content.split(b"\n")
            lines[1] = json_text(json.loads(lines[1]), draw).encode(errors="surrogatepass")
            return name, b"\n".join(lines)
        if name == "recording.json" and draw.random() < 0.7:
            return name, json_text(json.loads(content), draw).encode(errors="surrogatepass")
        return name, damaged(content, draw)

    def use(self, made: tuple[str, bytes]) -> str:
        name, content = made
        path = self._path / name
        path.write_bytes(content)
        try:
            recording = Recording.read(self._path)
            for frame in recording:
                frame.picture()
                frame.class_map()
            return f"{len(recording)} {recording.spec.name}"
        finally:
            path.write_bytes(self._valid[name])
