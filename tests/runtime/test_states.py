"""The words of records and messages are what other programs and old recordings know."""

from __future__ import annotations

import json

import pytest

from edgeseg.runtime.capture import wire
from edgeseg.runtime.health import SourceHealth
from edgeseg.runtime.records import FrameRecord
from edgeseg.runtime.sinks.mask_message import header_of
from edgeseg.runtime.states import CLOCKS, PICTURE_REASONS, Clock, Reason, Status


@pytest.mark.parametrize(("clock", "number"), [("arrival", 0), ("sensor", 1), ("stream", 2)])
@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("stale", 1)])
def test_mask_messages_keep_their_numbers(clock: str, number: int, status: str, code: int) -> None:
    record = FrameRecord(0, 0.0, Status(status), Reason.FROZEN, Clock(clock))
    header = header_of(record, 0.0, (2, 3), classes=3, ignore_index=255)
    assert (header.status, header.clock, header.reason) == (code, number, b"frozen")


def test_a_word_is_its_text_wherever_it_is_written() -> None:
    reason = Reason.DEADLINE
    assert f"{reason}" == str(reason) == "".join([reason]) == "deadline"
    assert f"{reason:>9}|{reason!r}" == " deadline|'deadline'"
    assert json.dumps({reason: [reason]}) == '{"deadline": ["deadline"]}'
    assert {"deadline": 1}[reason] == 1


@pytest.mark.parametrize("clock", Clock)
def test_what_the_capture_process_says_of_a_frame_arrives(clock: Clock) -> None:
    seen = PICTURE_REASONS[1:4]
    sent = wire.FrameMessage(1, 2, wire.bits_of(seen), CLOCKS.index(clock), 3.0, 4.0)
    got = wire.unpack_frame(wire.pack_frame(sent))
    assert (CLOCKS[got.clock], wire.reasons_of(got.seen)) == (clock, seen)


def test_a_summary_of_the_source_has_plain_keys_for_every_reason() -> None:
    health = SourceHealth()
    health.note_picture((Reason.BLACK,), 1.0)
    keys = list(health.to_dict())
    assert keys[-5:] == ["corrupt", "frozen", "black", "blank", "implausible"]
    assert all(type(key) is str for key in keys)
