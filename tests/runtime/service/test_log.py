"""What a person sees while a run goes on."""

import io

import pytest

from edgeseg.runtime.records import FrameRecord, Ledger
from edgeseg.runtime.service.log import StatusLine


def test_the_status_line_tells_of_a_camera_that_is_waited_for_and_of_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    stream, ledger = io.StringIO(), Ledger()
    line = StatusLine(stream)
    ledger.source.away.begin(0.0)
    now[0] = 11.0
    line(ledger, 0.0)  # no frame has ever come
    ledger.source.away.end(12.0)
    ledger.add(FrameRecord(0, 0.0, ms={"frame": 20.0, "capture_to_mask": 25.0}))
    now[0] = 22.0
    line(ledger, 2.0)
    waiting, running = stream.getvalue().splitlines()
    assert waiting == "no mask yet  the camera is away, looking for it"
    assert "0.5 fps  ms/frame p50 20.0" in running
    assert "age p50 25.0" in running
