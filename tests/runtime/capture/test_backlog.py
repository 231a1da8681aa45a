from edgeseg.runtime.capture.backlog import Backlog, Heartbeat
from edgeseg.runtime.sources.clocks import Stamp
from edgeseg.runtime.states import Clock


class Still(Heartbeat):
    """A process that stood still when a test says so."""

    def __init__(self) -> None:
        self.since: float | None = None

    def stood_still_from(self) -> float | None:
        return self.since


def test_frames_out_of_a_buffer_are_as_old_as_the_pause_before_them() -> None:
    heartbeat = Still()
    backlog = Backlog(heartbeat)
    steady = [backlog.dated(Stamp(10 + index / 30)) for index in range(30)]
    assert [each.monotonic for each in steady] == [10 + index / 30 for index in range(30)]
    heartbeat.since = 11.0
    arrivals = [13.0, 13.004, 13.008, 13.012, 13.045, 13.078, 13.111]
    dated = [backlog.dated(Stamp(each)).monotonic for each in arrivals]
    assert dated == [11.0, 11.0, 11.0, 11.0, 11.0, 13.078, 13.111]
    assert backlog.dated(Stamp(13.2)).monotonic == 13.2  # the same pause counts once


def test_what_the_camera_dates_is_as_old_as_it_says() -> None:
    heartbeat = Still()
    backlog = Backlog(heartbeat)
    heartbeat.since = 5.0
    assert backlog.dated(Stamp(7.5, Clock.SENSOR)) == Stamp(7.5, Clock.SENSOR)


def test_a_slow_camera_is_not_taken_for_a_pause() -> None:
    backlog = Backlog(Still())
    assert [backlog.dated(Stamp(float(index))).monotonic for index in range(5)] == [0.0, 1.0, 2.0, 3.0, 4.0]
