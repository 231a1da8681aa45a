"""The `--stats` file when somebody takes it away; and a recording that cannot be written to its end."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import numpy as np
import pytest

from edgeseg.core.errors import UsageError
from edgeseg.core.geometry import Size
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.records import FrameRecord
from edgeseg.runtime.sinks.base import Delivery, Playback
from edgeseg.runtime.sinks.fan_out import SinkFanOut
from edgeseg.runtime.sinks.open import open_sink

SIZE = Size(32, 64)


@pytest.mark.parametrize("rotate", ["delete", "move"])
def test_a_stats_file_that_is_taken_away_goes_on_in_a_new_one_and_that_is_said(tmp_path: Path, rotate: str) -> None:
    path, said = tmp_path / "stats.jsonl", list[str]()
    with SinkFanOut([], path, notice=said.append) as outputs:
        outputs.record(FrameRecord(0, 1.0))
        time.sleep(1.1)
        path.unlink() if rotate == "delete" else path.rename(tmp_path / "stats.1")
        end, index = time.monotonic() + 10, 1
        while not said:
            assert time.monotonic() < end
            outputs.record(FrameRecord(index, 1.0))
            index += 1
            time.sleep(0.05)
        outputs.record(FrameRecord(777, 1.0))
    assert said == [f"--stats {path} was deleted or moved away; it goes on in a new file of that name"]
    assert outputs.failures() == []
    assert '"frame": 777' in path.read_text()
    if rotate == "move":
        assert '"frame": 0' in (tmp_path / "stats.1").read_text()


def test_a_stats_file_whose_folder_is_gone_is_given_up_and_that_is_said_at_once(tmp_path: Path) -> None:
    path, said = tmp_path / "run" / "stats.jsonl", list[str]()
    path.parent.mkdir()
    with SinkFanOut([], path, notice=said.append) as outputs:
        path.unlink()
        path.parent.rmdir()
        time.sleep(1.1)
        outputs.record(FrameRecord(1, 1.0))
        end = time.monotonic() + 10
        while not said:
            assert time.monotonic() < end
            time.sleep(0.01)
    assert said == outputs.failures() == [f"--stats was given up: {path}: No such file or directory"]


def test_a_picture_of_a_recording_has_its_name_only_when_it_is_whole(tmp_path: Path, colour_spec: ModelSpec) -> None:
    sink = open_sink(f"record://{tmp_path / 'drive'}", colour_spec, SIZE, Playback(30.0, keep_time=False))
    sink.start()
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8)
    delivery = Delivery(FrameRecord(0, 1.0), 1.0, noise, np.zeros(SIZE, np.uint8))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))  # as a full disk, in the midst of the picture
    try:
        with pytest.raises((OSError, UsageError)):
            sink.write(delivery)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        sink.close()
    assert list((tmp_path / "drive" / "frames").iterdir()) == []
