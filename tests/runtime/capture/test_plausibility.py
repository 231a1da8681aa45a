import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeseg.runtime.capture.plausibility import PlausibilityWatch
from edgeseg.runtime.capture.watches import Watches
from edgeseg.runtime.sources.reader import Frame, Reader
from tests.helpers.damage import street

Picture = NDArray[np.uint8]
SIZE = (320, 180)
DRAW = np.random.default_rng(5)


WIDE = {seed: street(3000, SIZE[1], seed) for seed in (0, 9)}


def panned(offset: int, seed: int = 0) -> Picture:
    """A camera that turns, with a sensor's noise."""
    picture: Picture = WIDE[seed][:, offset : offset + SIZE[0]] // 2 + 60
    picture += DRAW.integers(0, 6, picture.shape, np.uint8)
    return picture


def damaged(picture: Picture, rows: int = 60, shift: int = 90) -> Picture:
    """What a decoder makes of the rest of a picture whose stream it has lost."""
    lost = np.roll(picture[-rows:], shift, axis=1) // 2
    return np.concatenate([picture[:-rows], lost])


def judge(watch: PlausibilityWatch, pictures: list[Picture], is_key: list[bool] | bool | None = True) -> list[bool]:
    keys = is_key if isinstance(is_key, list) else [is_key] * len(pictures)
    judged = zip(pictures, keys, strict=True)
    return [watch.is_implausible(each, key, False, index / 30) for index, (each, key) in enumerate(judged)]


def test_a_turning_camera_is_plausible() -> None:
    assert not any(judge(PlausibilityWatch(), [panned(4 * index) for index in range(100)]))


def turn(top: int) -> list[Picture]:
    """A camera at rest that turns, after a third of a second by `top` pixels a picture: a crossroads at 10 a second."""
    steps = [0] * 30 + [top * min(10, index) // 10 for index in range(1, 60)]
    return [panned(offset, seed=9) for offset in np.cumsum(steps)]


@pytest.mark.parametrize("top", [16, 24, 40])
def test_a_camera_that_begins_to_turn_quickly_is_plausible(top: int) -> None:
    assert not any(judge(PlausibilityWatch(), turn(top)))


@pytest.mark.parametrize("top", [16, 40])
def test_damage_is_seen_in_a_quick_turn_too(top: int) -> None:
    pictures = turn(top)
    for index in (45, 60):
        pictures[index] = damaged(pictures[index])
    assert np.flatnonzero(judge(PlausibilityWatch(), pictures)).tolist() == [45, 60]


@pytest.mark.parametrize("gain", [0.4, 0.7, 1.6])
def test_light_that_changes_at_once_is_plausible(gain: float) -> None:
    pictures = [panned(index) for index in range(20)]
    lit = [np.asarray(cv2.convertScaleAbs(each, alpha=gain), np.uint8) for each in pictures[10:]]
    assert sum(judge(PlausibilityWatch(), [*pictures[:10], *lit])) <= 1


def test_of_a_slow_camera_nothing_is_said_but_one_late_picture_changes_nothing() -> None:
    scenes = [panned(300 * (index % 5), seed=9 * (index % 2)) for index in range(20)]
    slow = PlausibilityWatch()
    assert not any(slow.is_implausible(each, True, False, index / 8) for index, each in enumerate(scenes))
    watch, pictures = PlausibilityWatch(), [panned(index) for index in range(30)]
    pictures[20] = damaged(pictures[20])
    seen = [watch.is_implausible(each, True, False, index / 30 + (index >= 20)) for index, each in enumerate(pictures)]
    assert np.flatnonzero(seen).tolist() == [20]


@pytest.mark.parametrize("is_key", [True, False, None])
def test_a_cut_costs_one_picture(is_key: bool | None) -> None:
    pictures = [panned(index) for index in range(20)] + [panned(index, seed=9) for index in range(20)]
    assert np.flatnonzero(judge(PlausibilityWatch(), pictures, is_key)).tolist() == [20]


@pytest.mark.parametrize("step", [12, 26])
def test_a_cut_from_a_camera_at_rest_to_one_that_turns_costs_one_picture(step: int) -> None:
    pictures = [panned(0) for _ in range(60)] + [panned(step * index, seed=9) for index in range(20)]
    assert np.flatnonzero(judge(PlausibilityWatch(), pictures)).tolist() == [60]


def test_each_damaged_picture_of_a_camera_is_implausible_and_no_other() -> None:
    pictures = [panned(index) for index in range(40)]
    for index in (10, 11, 20, 33):
        pictures[index] = damaged(pictures[index], rows=40 + index, shift=37 * index)
    assert np.flatnonzero(judge(PlausibilityWatch(), pictures)).tolist() == [10, 11, 20, 33]


def test_damage_that_frames_hand_on_lasts_until_the_next_key_frame() -> None:
    pictures = [panned(index) for index in range(60)]
    pictures[15:30] = [damaged(each) for each in pictures[15:30]]
    keys = [index % 30 == 0 for index in range(60)]
    assert np.flatnonzero(judge(PlausibilityWatch(), pictures, keys)).tolist() == list(range(15, 30))


def test_a_key_frame_that_is_damaged_elsewhere_ends_nothing() -> None:
    pictures = [panned(index) for index in range(90)]
    pictures[15:30] = [damaged(each, rows=40) for each in pictures[15:30]]
    pictures[30:60] = [damaged(each, rows=110) for each in pictures[30:60]]
    keys = [index % 30 == 0 for index in range(90)]
    assert np.flatnonzero(judge(PlausibilityWatch(), pictures, keys)).tolist() == list(range(15, 60))


def test_without_key_frames_a_change_that_stays_is_believed_in_time() -> None:
    pictures = [panned(index) for index in range(15)] + [damaged(panned(15 + index % 200)) for index in range(150)]
    found = np.flatnonzero(judge(PlausibilityWatch(), pictures, None))
    assert found[0] == 15
    assert 2.0 <= (found[-1] - found[0] + 1) / 30 < 2.2


class Predicted(Reader):
    """A video file of which no frame after the first is a key frame."""

    fps = 30.0
    is_key = False

    def read(self, buffer: Frame | None) -> Frame | None:
        raise NotImplementedError


def test_a_file_that_is_read_slowly_is_not_believed_sooner() -> None:
    watches = Watches(frozen_s=0.0, plausibility=True)
    pictures = [panned(index) for index in range(10)] + [damaged(panned(index)) for index in range(10, 40)]
    seen = [watches.look(each, float(index), Predicted()) for index, each in enumerate(pictures)]  # 1 frame a second
    assert seen == [[]] * 10 + [["implausible"]] * 30


def test_rows_that_repeat_the_one_above_are_implausible() -> None:
    """A decoder without data fills the rest so; of a sky it differs by little."""
    sky = np.full((SIZE[1], SIZE[0], 3), 120, np.uint8)
    pictures = [np.asarray(cv2.add(sky, DRAW.integers(0, 6, sky.shape, np.uint8)), np.uint8) for _ in range(12)]
    pictures[8][120:] = pictures[8][119]
    assert np.flatnonzero(judge(PlausibilityWatch(), pictures)).tolist() == [8]


def test_what_a_decoder_complained_of_is_no_measure_for_the_next() -> None:
    watch = PlausibilityWatch()
    judge(watch, [panned(index) for index in range(10)])
    watch.is_implausible(damaged(panned(10)), False, True, 0.4)
    assert watch.is_implausible(damaged(panned(11)), False, False, 0.5)
    assert not watch.is_implausible(panned(12), True, False, 0.6)


def test_where_the_decoder_told_all_damage_the_next_key_frame_ends_it() -> None:
    """The scene has moved on: it follows neither the last good picture nor what was made up since."""
    for is_told in (True, False):
        watch, seen = PlausibilityWatch(), []
        for index in range(60):
            is_damaged = 15 <= index < 30
            shown = damaged(panned(index), rows=80) if is_damaged else panned(index if index < 15 else 700 + index)
            seen.append(watch.is_implausible(shown, index % 30 == 0, is_damaged and is_told, index / 30))
        assert not any(seen[:15])
        assert any(seen[30:]) != is_told


def test_another_size_begins_anew() -> None:
    watch = PlausibilityWatch()
    assert not any(judge(watch, [panned(0), panned(1), street(300, 300), street(300, 300)]))


def test_rows_of_a_drawn_picture_are_plausible_wherever_a_row_differs() -> None:
    columns = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    columns[:] = DRAW.integers(30, 220, (SIZE[0], 3), np.uint8)
    pictures = [columns.copy() for _ in range(30)]
    for index, picture in enumerate(pictures):
        picture[(index * 37) % SIZE[1]] += np.uint8(index % 3)
    assert not any(judge(PlausibilityWatch(), pictures))


def test_coding_that_takes_the_noise_of_sky_and_black_bars_away_is_plausible() -> None:
    def picture(is_flat: bool) -> Picture:
        noisy = np.full((SIZE[1], SIZE[0], 3), (200, 140, 90), np.uint8)
        noisy[:30] = noisy[-30:] = 3
        noisy += DRAW.integers(0, 6, noisy.shape, np.uint8)
        if is_flat:
            noisy[:30] = noisy[-30:] = 5
            for top in range(30, 120, 4):
                noisy[top : top + 4] = noisy[top, 0] + top // 16
        return noisy

    assert not any(judge(PlausibilityWatch(), [picture(8 <= index < 20) for index in range(30)]))
