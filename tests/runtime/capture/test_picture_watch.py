import numpy as np
import pytest

from edgeseg.runtime.capture.picture_watch import PictureWatch
from edgeseg.runtime.capture.recovery import Backoff
from edgeseg.runtime.sources.clocks import Stamp, StreamClock, sensor_stamp
from edgeseg.runtime.states import Clock

NOISE = np.random.default_rng(3).integers(0, 255, (720, 1280, 3), np.uint8)


def test_a_change_between_the_sampled_pixels_is_a_change() -> None:
    """A pedestrian in an otherwise still picture: the sample alone would call it frozen."""
    watch = PictureWatch(frozen_s=0.5)
    picture = NOISE.copy()
    for index in range(40):
        picture[1, 1] = index
        assert watch.reason(picture, now=index / 10) is None


def test_a_picture_that_stays_is_frozen_after_its_time_and_good_again_when_it_moves() -> None:
    watch = PictureWatch(frozen_s=0.5)
    reasons = [watch.reason(NOISE, now=index / 10) for index in range(10)]
    assert reasons[:5] == [None] * 5
    assert set(reasons[6:]) == {"frozen"}
    assert watch.reason(NOISE + 1, now=1.0) is None


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (np.zeros((72, 128, 3), np.uint8), "black"),
        (NOISE[:72, :128] // 20, "black"),
        (np.full((72, 128, 3), (0, 135, 0), np.uint8), "blank"),
        (np.full((72, 128, 3), 255, np.uint8), "blank"),
        (NOISE[:72, :128] // 8, None),
        (NOISE[:5, :5], None),
    ],
)
def test_pictures_that_show_nothing(picture: np.ndarray, reason: str | None) -> None:
    assert PictureWatch(0.5).reason(picture, now=0.0) == reason


def test_a_driver_s_time_counts_if_it_is_of_our_clock() -> None:
    assert sensor_stamp(99_950.0, now=100.0) == Stamp(99.95, Clock.SENSOR)
    assert sensor_stamp(1.7e12, now=100.0) == Stamp(100.0, Clock.ARRIVAL)
    assert sensor_stamp(0.0, now=100.0) == Stamp(100.0, Clock.ARRIVAL)


def test_what_the_network_held_back_is_age_in_a_stream_s_own_time() -> None:
    clock = StreamClock()
    for index in range(30):
        assert clock.stamp(index / 30, now=50 + index / 30).monotonic == pytest.approx(50 + index / 30, abs=1e-6)
    late = clock.stamp(1.0, now=53.0)
    assert late.monotonic == pytest.approx(51.0, abs=0.01)
    assert late.clock == "stream"
    assert clock.stamp(0.0, now=60.0) == Stamp(60.0, Clock.STREAM)  # the stream began again


def test_backoff_doubles_to_five_seconds_and_begins_anew_after_a_good_stretch() -> None:
    backoff = Backoff()
    delays = [backoff.failed(0.0) for _ in range(7)]
    assert delays == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert backoff.failed(1.0) == 5.0  # it came for less than it was waited for
    assert backoff.failed(6.0) == 0.2
