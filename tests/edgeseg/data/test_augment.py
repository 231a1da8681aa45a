"""Augmentation: each setting does what it says, picture and labels stay together, and what is off changes nothing."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeseg.core.errors import UsageError
from edgeseg.core.geometry import Crop, Size, place
from edgeseg.data.base import Image
from edgeseg.data.feeding.augment import NONE, Augmentation
from edgeseg.data.feeding.photometry import GREY, change_colours, colour_matrix
from edgeseg.data.feeding.warp import Source, Warped, draw_map, paint_padding, warp
from tests.helpers.places import ROOT

PICTURE, NETWORK = Size(90, 120), Size(64, 96)
COLOURS = np.array([(250, 20, 20), (20, 250, 20), (20, 20, 250), (230, 230, 230)], np.uint8)
IGNORED = 255
PADDING = (104, 117, 124)


def blocks(fit: str = "stretch") -> Source:
    """Return a picture of large blocks in the colours of their classes, of which none is the ignore index."""
    ids = np.random.default_rng(4).integers(0, 4, (3, 4), dtype=np.uint8).repeat(30, 0).repeat(30, 1)
    return Source.cut(COLOURS[ids], ids, place(PICTURE, NETWORK, fit), IGNORED)


def warped(source: Source, augmentation: Augmentation, seed: int = 0, window: Size = NETWORK) -> Warped:
    return warp(source, draw_map(augmentation, np.random.default_rng(seed), NETWORK, window), window)


def recoloured(image: Image, augmentation: Augmentation, seed: int = 0) -> Image:
    return change_colours(image, augmentation, np.random.default_rng(seed))


GEOMETRY = st.builds(
    Augmentation,
    flip=st.sampled_from([0.0, 0.5, 1.0]),
    scale_min=st.floats(0.3, 1),
    scale_max=st.floats(1, 2.5),
    zoom=st.floats(0, 0.5),
    rotation=st.floats(0, 180),
    translation=st.floats(0, 0.5),
)


@settings(max_examples=50, deadline=None)
@given(
    augmentation=GEOMETRY,
    seed=st.integers(0, 10**6),
    window=st.sampled_from([NETWORK, Size(32, 32)]),
    fit=st.sampled_from(["stretch", "crop", "pad"]),
    detail=st.booleans(),
)
def test_labels_agree_with_colours_wherever_they_are_moved(
    augmentation: Augmentation, seed: int, window: Size, fit: str, detail: bool
) -> None:
    source = blocks(fit)
    moved = warped(source if detail else source.reduced(), augmentation, seed, window)
    image = paint_padding(moved, PADDING)
    assert image.shape == (*window, 3)
    assert set(np.unique(moved.class_map)) <= {0, 1, 2, 3, IGNORED}
    beyond = moved.class_map == IGNORED
    assert np.array_equal(beyond, np.zeros_like(beyond) if moved.inside is None else moved.inside == 0)
    assert (image[beyond] == PADDING).all()
    distances = np.linalg.norm(image[:, :, None].astype(float) - COLOURS, axis=-1)
    nearest = distances.argmin(axis=-1)
    # Colours mix on an edge between blocks, over 1.5 pixels enlarged up to 3.75 times: only pixels beyond are asked.
    lowest, highest = (morph(moved.class_map, np.ones((15, 15))) for morph in (cv2.erode, cv2.dilate))
    even = np.zeros_like(beyond)  # nor is it known which edge lies just beyond the window
    even[7:-7, 7:-7] = ((lowest == highest) & ~beyond)[7:-7, 7:-7]
    assert np.array_equal(nearest[even], moved.class_map[even])
    assert distances.min(axis=-1)[even].max(initial=0) < 3


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("crop", [None, Crop(0.1, 0.2, 0.7, 0.5)])
@pytest.mark.parametrize("detail", [True, False])
def test_what_is_off_leaves_the_fitted_picture_exactly(fit: str, crop: Crop | None, detail: bool) -> None:
    random = np.random.default_rng(2)
    image, ids = random.integers(0, 256, (*PICTURE, 3), np.uint8), random.integers(0, 4, PICTURE, np.uint8)
    source = Source.cut(image, ids, place(PICTURE, NETWORK, fit, crop), IGNORED)
    source = source if detail else source.reduced()
    fitted, labels = source.fitted(PADDING)
    for augmentation, mirror in ((NONE, 1), (replace(NONE, flip=1), -1)):
        moved = warped(source, augmentation)
        unchanged = moved._replace(image=recoloured(moved.image, augmentation))
        np.testing.assert_array_equal(paint_padding(unchanged, PADDING), fitted[:, ::mirror])
        np.testing.assert_array_equal(moved.class_map, labels[:, ::mirror])


def test_kept_pictures_are_not_written_to() -> None:
    source = Source.cut(np.full((*NETWORK, 3), 9, np.uint8), np.zeros(NETWORK, np.uint8), place(NETWORK, NETWORK), 255)
    moved = warped(source, NONE)
    moved.image[:], moved.class_map[:] = 1, 1
    assert (source.image == 9).all()
    assert not source.class_map.any()


def test_a_warp_of_the_whole_picture_sees_what_the_fit_sees() -> None:
    smooth = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (*PICTURE, 3), np.uint8), (0, 0), 3)
    source = Source.cut(np.asarray(smooth), np.zeros(PICTURE, np.uint8), place(PICTURE, NETWORK), IGNORED)
    shrunk = np.diag([0.999999, 1, 1])  # no whole number, so it takes the way of all that is scaled and turned
    difference = warp(source, shrunk, NETWORK).image.astype(int) - source.fitted(PADDING)[0]
    assert abs(difference).max() <= 2


def test_what_is_enlarged_keeps_the_detail_of_the_picture() -> None:
    stripes = np.zeros((128, 192, 3), np.uint8)
    stripes[:, ::2] = 255  # finer than the network's 96 columns can show
    source = Source.cut(stripes, stripes[:, :, 0] // 255, place(Size(128, 192), NETWORK), IGNORED)
    twice = np.diag([2.0, 2.0, 1.0])
    assert warp(source, twice, NETWORK).image.std() > 120
    assert warp(source.reduced(), twice, NETWORK).image.std() < 10


def linear_parts(augmentation: Augmentation, window: Size = NETWORK) -> np.ndarray[Any, Any]:
    return np.array([draw_map(augmentation, np.random.default_rng(n), NETWORK, window) for n in range(300)])


def test_scales_fill_their_range_and_the_window_stays_in_the_picture() -> None:
    maps = linear_parts(replace(NONE, scale_min=0.5, scale_max=2))
    scales = maps[:, 0, 0]
    assert 0.5 <= scales.min() < 0.55
    assert 1.95 < scales.max() <= 2
    np.testing.assert_allclose(maps[:, 1, 1], scales)
    corners = maps[:, :2, 2]
    far = corners + scales[:, None] * NETWORK[::-1]
    large = scales > 1
    assert (corners[large] <= 0.5).all()
    assert (far[large] >= np.array(NETWORK[::-1]) - 0.5).all()
    assert np.ptp(corners[large][:, 0]) > 40  # cut at random places
    assert (corners[~large] >= -0.5).all()  # and what is smaller is seen whole
    assert (far[~large] <= np.array(NETWORK[::-1]) + 0.5).all()


def test_rotation_turns_about_the_middle_by_up_to_its_degrees() -> None:
    maps = linear_parts(replace(NONE, rotation=10))
    degrees = np.degrees(np.arctan2(maps[:, 1, 0], maps[:, 0, 0]))
    assert -10 <= degrees.min() < -9.5
    assert 9.5 < degrees.max() <= 10
    np.testing.assert_allclose(np.linalg.det(maps[:, :2, :2]), 1)
    middle = np.array([NETWORK.width / 2, NETWORK.height / 2, 1])
    np.testing.assert_allclose(maps @ middle, np.tile(middle, (300, 1)))
    # In pixels: a bar to the right of the middle turns with the map, clockwise on the screen for a positive angle.
    bar = np.zeros(NETWORK, np.uint8)
    bar[31:33, 50:] = 1
    source = Source.cut(COLOURS[bar], bar, place(NETWORK, NETWORK), IGNORED)
    turned = warp(source, maps[degrees.argmax()], NETWORK).class_map == 1
    rows, columns = np.nonzero(turned)
    slope = np.polyfit(columns, rows, 1)[0]
    assert abs(np.degrees(np.arctan(slope)) - degrees.max()) < 1


def test_zoom_changes_the_aspect_and_translation_moves_whole_pixels() -> None:
    zoomed = linear_parts(replace(NONE, zoom=0.5))[:, (0, 1), (0, 1)]
    assert 1 / 1.5 <= zoomed.min() < 0.68
    assert 1.48 < zoomed.max() <= 1.5
    assert abs(np.corrcoef(zoomed.T)[0, 1]) < 0.2  # each side its own
    moved = linear_parts(replace(NONE, translation=0.25))[:, :2, 2]
    assert np.array_equal(moved, np.rint(moved))
    np.testing.assert_array_equal(abs(moved).max(axis=0), (NETWORK.width / 4, NETWORK.height / 4))


def test_a_smaller_window_shows_random_parts_of_the_fitted_picture() -> None:
    source, window, seen = blocks(), Size(32, 48), set()
    fitted = source.fitted(PADDING)[0]
    for seed in range(20):
        matrix = draw_map(NONE, np.random.default_rng(seed), NETWORK, window)
        x, y = (-int(offset) for offset in matrix[:2, 2])
        seen.add((x, y))
        part = fitted[y : y + window.height, x : x + window.width]
        np.testing.assert_array_equal(warp(source, matrix, window).image, part)
    assert len(seen) > 15


def test_each_switch_leaves_the_draws_of_the_others_alone() -> None:
    only_flips = linear_parts(replace(NONE, flip=0.5))[:, 0, 0] < 0
    assert 100 < only_flips.sum() < 200
    with_scales = linear_parts(replace(NONE, flip=0.5, scale_max=2, translation=0.1))[:, 0, 0] < 0
    assert np.array_equal(only_flips, with_scales)


def test_the_colour_matrix_is_the_four_changes_one_after_the_other() -> None:
    pixels = np.random.default_rng(0).uniform(60, 120, (50, 3))
    mean = pixels.mean(axis=0)

    def changed(factors: tuple[float, float, float], hue: float = 0.0) -> np.ndarray[Any, Any]:
        matrix = colour_matrix(mean, np.array(factors), hue)
        return np.asarray(pixels @ matrix[:, :3].T + matrix[:, 3])

    grey = (pixels @ GREY)[:, None]
    np.testing.assert_allclose(changed((1, 1, 1)), pixels)
    np.testing.assert_allclose(changed((1.2, 1, 1)), pixels * 1.2)
    np.testing.assert_allclose(changed((1, 0.7, 1)), (pixels - mean @ GREY) * 0.7 + mean @ GREY)
    np.testing.assert_allclose(changed((1, 1, 0.4)), grey + (pixels - grey) * 0.4)
    thrice = colour_matrix(mean, np.ones(3), np.radians(120))[:, :3]
    np.testing.assert_allclose(thrice @ np.ones(3), np.ones(3))
    assert {tuple(row) for row in np.rint(thrice).astype(int)} == {(0, 0, 1), (0, 1, 0), (1, 0, 0)}
    np.testing.assert_allclose(thrice @ thrice @ thrice, np.eye(3), atol=1e-12)


def test_colours_stay_within_their_settings() -> None:
    grey = np.full((16, 16, 3), 100, np.uint8)
    levels = [int(recoloured(grey, replace(NONE, brightness=0.3), seed)[0, 0, 0]) for seed in range(200)]
    assert 70 <= min(levels) < 75
    assert 125 < max(levels) <= 130
    for neutral in (replace(NONE, contrast=0.5), replace(NONE, saturation=1), replace(NONE, hue=180)):
        assert abs(recoloured(grey, neutral).astype(int) - 100).max() <= 1
    red = np.tile(np.array([0, 0, 200], np.uint8), (8, 8, 1))
    assert max(recoloured(red, replace(NONE, saturation=1), seed)[0, 0, 1] for seed in range(9)) > 20
    assert len({recoloured(red, replace(NONE, hue=180), seed)[0, 0].argmax() for seed in range(20)}) == 3


def test_white_balance_makes_a_white_sky_blue_and_leaves_green_alone() -> None:
    grey = np.full((16, 16, 3), 100, np.uint8)
    seen = np.array([recoloured(grey, replace(NONE, white_balance=0.6), seed)[0, 0] for seed in range(300)])
    blue, green, red = seen.T.astype(int)
    assert set(green) == {100}
    for channel in (blue, red):
        assert 62 <= channel.min() < 66
        assert 155 < channel.max() <= 160
        assert 0.4 < (channel < 100).mean() < 0.6
    assert ((blue > 130) & (red < 80)).any()
    white = np.full((16, 16, 3), 255, np.uint8)
    darker = replace(NONE, white_balance=0.6, brightness=0.4)
    skies = np.array([recoloured(white, darker, seed)[0, 0] for seed in range(300)]).astype(int)
    assert (skies[:, 0] - skies[:, 2]).max() > 100


def test_blur_and_noise_have_the_sigma_that_they_say() -> None:
    edge = np.zeros((40, 400, 3), np.uint8)
    edge[:, 200:] = 200
    widths = []
    for seed in range(40):
        slope = np.diff(recoloured(edge, replace(NONE, blur=4), seed)[20, :, 0].astype(float))
        x = np.arange(len(slope))
        centre = (slope * x).sum() / slope.sum()
        widths.append(np.sqrt((slope * (x - centre) ** 2).sum() / slope.sum()))
    assert 3.2 < max(widths) < 4.3
    assert min(widths) < 0.8
    grey = np.full((64, 64, 3), 128, np.uint8)
    noisy = [recoloured(grey, replace(NONE, noise=20), seed).astype(float) for seed in range(60)]
    sigmas = [each.std() for each in noisy]
    assert 17 < max(sigmas) < 21
    assert min(sigmas) < 3
    assert abs(np.mean(noisy) - 128) < 0.5
    assert abs(np.corrcoef(noisy[0].ravel(), noisy[1].ravel())[0, 1]) < 0.05


def test_a_blur_mixes_no_padding_into_the_picture() -> None:
    picture = Size(64, 64)
    image, class_map = np.full((*picture, 3), 255, np.uint8), np.zeros(picture, np.uint8)
    white = Source.cut(image, class_map, place(picture, NETWORK, "pad"), IGNORED)
    for augmentation in (replace(NONE, blur=5), replace(NONE, blur=5, rotation=30)):
        moved = warped(white, augmentation, seed=5)
        image = paint_padding(moved._replace(image=recoloured(moved.image, augmentation)), (0, 0, 0))
        assert moved.inside is not None
        assert (image[moved.inside > 0] == 255).all()
        assert (image[moved.inside == 0] == 0).all()


@pytest.mark.parametrize("each", fields(Augmentation), ids=lambda each: str(each.name))
def test_a_setting_out_of_range_is_refused(each: Any) -> None:
    low, high = each.metadata["between"].low, each.metadata["between"].high
    wrong: tuple[Any, ...] = (low - 0.01, high + 0.01, float("nan"), True, "1")
    for value in wrong:
        with pytest.raises(UsageError, match=f"augmentation {each.name} = .*; expected a number from"):
            Augmentation(**{each.name: value})
    Augmentation(**{each.name: low})
    Augmentation(**{each.name: high})


def test_the_document_lists_every_setting_with_its_default_and_range() -> None:
    text = (ROOT / "docs" / "augmentation.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `--")]
    expected = []
    for each in fields(Augmentation):
        low, high = each.metadata["between"].low, each.metadata["between"].high
        name = each.name.replace("_", "-")
        expected.append(f"| `--{name}` | {each.default:g} | {low:g} to {high:g} | {each.metadata['help']} |")
    assert rows == expected
