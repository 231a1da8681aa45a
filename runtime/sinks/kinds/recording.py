"""A drive as it was seen: frames, masks, times and statuses in a folder, for `edgeseg replay`.

recording.json      the model's spec, the frame size and the version of this layout, written first
frames/00000007.png the frame with the id 7, as captured (lossless)
masks/00000007.png  its mask: class ids, also of stale masks, never smoothed
records.jsonl       one line a mask, the record of --stats with `captured_monotonic`; written last for each frame
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import DataError, ModelError, UsageError, one_line
from edgeseg.core.files import check_writable, is_taken, write_whole
from edgeseg.core.json_text import parse_json, read_json
from edgeseg.core.locks import LOCK, WriterLock, check_unlocked
from edgeseg.core.numbers import Range
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.sinks.base import Delivery, Sink, SinkContext

LAYOUT = 1
_EXPECTED = "what edgeseg-camera --record wrote"
_IDS, _MILLISECONDS = Range(0, 2**53, whole=True), Range(-1e12, 1e12)
_QUICK = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def check_new(path: Path) -> None:
    """Raise UsageError for a folder that is being written, holds something already, or cannot be looked into."""
    check_unlocked(path / LOCK, path)
    _check_empty(path)


def _check_empty(path: Path) -> None:
    if is_taken(path):
        raise UsageError(f"{path} is not empty; choose a new folder for each recording")


class FrameRecording(Sink):
    """Writes the folder. A frame counts once its line is in records.jsonl, so a kill costs at most the last one."""

    def __init__(self, context: SinkContext) -> None:
        super().__init__(context.uri)
        self._path, self._spec, self._size = context.path, context.spec, context.graph_size
        self._has_begun = False
        self._lock: WriterLock | None = None

    def start(self) -> None:
        check_new(self._path)
        check_writable(self._path / "recording.json")
        try:
            self._lock = WriterLock(self._path / LOCK, self._path)
        except OSError as error:
            raise UsageError(f"{self._path}: cannot be written ({error.strerror}); choose another place") from error
        try:
            _check_empty(self._path)  # else one has just ended
        except UsageError:
            self._lock.close()
            raise

    def _begin(self) -> None:
        for name in ("frames", "masks"):
            (self._path / name).mkdir(parents=True, exist_ok=True)
        head = {"layout": LAYOUT, "frame_size": list(self._size), "spec": self._spec.to_document()}
        write_whole(self._path / "recording.json", json.dumps(head, indent=1) + "\n")
        self._has_begun = True

    def write(self, delivery: Delivery) -> None:
        if not self._has_begun:  # not before: a folder without a frame would be in the next recording's way
            self._begin()
        name = f"{delivery.record.frame:08d}.png"
        # A replay makes masks frame by frame, so what it is held against must not be smoothed.
        mask = delivery.class_map if delivery.unsmoothed is None else delivery.unsmoothed
        for folder, picture in (("frames", delivery.picture), ("masks", mask)):
            encoded = cv2.imencode(".png", picture, _QUICK)[1].tobytes()
            write_whole(self._path / folder / name, encoded, lasting=False)
        line = delivery.record.to_document() | {"captured_monotonic": delivery.captured_monotonic}
        with (self._path / "records.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def close(self) -> None:
        if self._lock:
            self._lock.close()


@dataclass(frozen=True)
class RecordedFrame:
    """A frame of a recording: its record, picture and mask are read when they are asked for."""

    record: dict[str, Any]
    folder: Path

    @property
    def name(self) -> str:
        return f"{self.record['frame']:08d}.png"

    def picture(self) -> NDArray[np.uint8]:
        """Return the frame, (H, W, 3) uint8 BGR. Raises DataError."""
        return self._read("frames", cv2.IMREAD_COLOR)

    def class_map(self) -> NDArray[np.uint8]:
        """Return the recorded mask, (h, w) uint8. Raises DataError."""
        return self._read("masks", cv2.IMREAD_UNCHANGED)

    def _read(self, kind: str, flags: int) -> NDArray[np.uint8]:
        path = self.folder / kind / self.name
        try:
            picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), flags)
        except (OSError, cv2.error) as error:
            raise DataError(f"{path}: cannot be read ({one_line(error, 200)}); the recording is damaged") from error
        if picture is None or picture.dtype != np.uint8 or picture.ndim != (3 if kind == "frames" else 2):
            raise DataError(f"{path}: no whole picture; the recording is damaged")
        return np.asarray(picture, np.uint8)


@dataclass(frozen=True)
class Recording:
    """What FrameRecording wrote.

    Attributes:
        path: the folder.
        spec: of the model that made its masks.
        records: of its frames, in order; a last line that was cut off is left out.
    """

    path: Path
    spec: ModelSpec
    records: tuple[dict[str, Any], ...]

    @classmethod
    def read(cls, path: Path) -> Recording:
        """Open a recording. Raises UsageError if this is none, DataError if it is damaged."""
        if path.is_dir() and not is_taken(path):
            raise UsageError(f"{path} holds no frame; record some seconds")
        try:
            head = read_json(path / "recording.json", _EXPECTED)
            records = path / "records.jsonl"
            lines = records.read_text().split("\n") if records.exists() else []  # killed within its first frame
            layout, spec = head["layout"], head["spec"]
        except (UsageError, OSError, ValueError, LookupError, TypeError) as error:
            raise UsageError(f"{path} holds no recording: {error}") from error
        if layout != LAYOUT:
            raise UsageError(f"{path}: layout {layout}; expected {LAYOUT}: replay it with the version that recorded it")
        try:
            model = ModelSpec.from_document(spec, str(path / "recording.json"))
        except ModelError as error:
            raise DataError(f"{error}; the recording is damaged") from error
        return cls(path, model, tuple(_records(lines, path)))

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[RecordedFrame]:
        return (RecordedFrame(record, self.path) for record in self.records)


def _records(lines: list[str], path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines[:-1], 1):  # behind the last line's end there is nothing, or half a line
        try:
            record = parse_json(line, f"line {number}", "a record")
            assert record["frame"] in _IDS
            assert all(each in _MILLISECONDS for each in record["ms"].values())
        except (UsageError, LookupError, TypeError, AttributeError, AssertionError) as error:
            raise DataError(f"{path / 'records.jsonl'}, line {number}: no record; the recording is damaged") from error
        yield record
