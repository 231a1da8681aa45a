"""Sinks beside each other: none waits for another, and each busy one gets the newest mask next."""

import threading
import time

import numpy as np
import pytest

from edgeseg.core.errors import UsageError
from edgeseg.runtime.records import FrameRecord
from edgeseg.runtime.sinks.base import Delivery, Sink, SinkClosed
from edgeseg.runtime.sinks.fan_out import SinkFanOut


class Gated(Sink):
    """Puts a mask out when its gate is open; `fails` maps frames to what they raise."""

    def __init__(self, uri: str, is_open: bool = True, needs_picture: bool = True) -> None:
        super().__init__(uri)
        self.needs_picture = needs_picture
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.frames: list[int] = []
        self.fails: dict[int, Exception] = {}
        self.passes_up_to = -1
        self.is_closed = False
        if is_open:
            self.gate.set()

    def write(self, delivery: Delivery) -> None:
        self.begun.set()
        assert delivery.record.frame <= self.passes_up_to or self.gate.wait(20)
        if delivery.record.frame in self.fails:
            raise self.fails[delivery.record.frame]
        self.frames.append(delivery.record.frame)

    def close(self) -> None:
        self.is_closed = True


def delivery(index: int) -> Delivery:
    return Delivery(FrameRecord(index, 0.0), 0.0, np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint8))


def settled(sink: Gated, count: int) -> None:
    end = time.monotonic() + 10
    while len(sink.frames) < count:
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_busy_sink_holds_up_no_other_and_gets_the_newest_mask_next() -> None:
    slow, quick = Gated("slow", is_open=False), Gated("quick", needs_picture=False)
    with SinkFanOut([slow, quick]) as outputs:
        for index in range(50):
            outputs.deliver(delivery(index), done=lambda: None)
            settled(quick, index + 1)
            slow.begun.wait(10)
        slow.gate.set()
    assert quick.frames == list(range(50))
    assert slow.frames == [0, 49]
    assert [(state.written, state.dropped) for state in outputs.states] == [(2, 48), (50, 0)]
    assert outputs.ledger.frames["captured"] == 50


def test_busy_sinks_never_hold_more_pictures_than_the_ring_can_spare() -> None:
    """Each sink hangs at another picture: five of them would hold five."""
    sinks = [Gated(f"s{index}", is_open=False) for index in range(5)]
    for index, sink in enumerate(sinks):
        sink.passes_up_to = index
    released: list[int] = []
    held = []
    with SinkFanOut(list(sinks)) as outputs:
        for index in range(12):
            outputs.deliver(delivery(index), done=lambda index=index: released.append(index))  # type: ignore[misc]
            time.sleep(0.03)
            held.append(index + 1 - len(released))
        for sink in sinks:
            sink.gate.set()
    assert max(held) == 3
    assert sorted(released) == list(range(12))
    assert outputs.ledger.frames["captured"] == 12


def test_a_picture_is_given_back_at_once_where_no_sink_reads_it() -> None:
    blocked = Gated("maps", is_open=False, needs_picture=False)
    released: list[int] = []
    with SinkFanOut([blocked]) as outputs:
        outputs.deliver(delivery(0), done=lambda: released.append(0))
        assert released == [0]
        blocked.gate.set()


def test_a_sink_that_fails_is_said_at_once_closed_and_never_asked_again() -> None:
    failing, good = Gated("failing"), Gated("good")
    said: list[str] = []
    failing.fails[2] = OSError("no space left")
    with SinkFanOut([failing, good], drop=False, notice=said.append) as outputs:
        for index in range(6):
            outputs.deliver(delivery(index), done=lambda: None)
            settled(good, index + 1)
        assert said == ["output failing was given up: no space left"]
        assert failing.is_closed
    assert failing.frames == [0, 1]
    assert outputs.failures() == ["output failing was given up: no space left"]
    assert outputs.states[0].to_dict() == {"written": 2, "dropped": 0, "error": "no space left"}


def test_a_sink_that_the_user_closes_ends_the_run_without_a_failure() -> None:
    window, stop = Gated("window"), threading.Event()
    window.fails[1] = SinkClosed()
    with SinkFanOut([window], drop=False, stop=stop) as outputs:
        for index in range(3):
            outputs.deliver(delivery(index), done=lambda: None)
        assert stop.wait(10)
    assert outputs.failures() == []
    assert outputs.ledger.frames["captured"] == 3


def test_a_sink_that_cannot_start_ends_the_run_before_it_begins_and_closes_the_others() -> None:
    class Refusing(Gated):
        def start(self) -> None:
            raise UsageError("no screen")

    first = Gated("first")
    with pytest.raises(UsageError, match="no screen"), SinkFanOut([first, Refusing("second")]):
        pass
    assert first.is_closed
