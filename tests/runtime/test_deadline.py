import math

import pytest

from edgeseg.runtime.deadline import deadline_for


@pytest.mark.parametrize(
    ("asked_ms", "is_camera", "frame_ms", "expected"),
    [
        (None, True, 20.0, 500.0),
        (None, False, 20.0, None),
        (None, False, 9000.0, None),
        (120.0, True, 20.0, 120.0),
        (120.0, False, None, 120.0),
        (math.inf, True, 9000.0, None),
    ],
)
def test_cameras_have_a_deadline_unless_they_are_given_none(
    asked_ms: float | None, is_camera: bool, frame_ms: float | None, expected: float | None
) -> None:
    said: list[str] = []
    assert deadline_for(asked_ms, is_camera, frame_ms, said.append) == expected
    assert said == []


def test_a_default_that_the_machine_cannot_meet_gives_way_and_says_so() -> None:
    said: list[str] = []
    assert deadline_for(None, True, 812.0, said.append) == 2500
    assert "812 ms here, more than the deadline of 500 ms, which is therefore 2500 ms" in said[0]
    assert "--no-deadline" in said[0]


def test_a_deadline_that_was_asked_for_stays_and_its_futility_is_said() -> None:
    said: list[str] = []
    assert deadline_for(100, True, 812.0, said.append) == 100
    assert "every mask will be stale" in said[0]
