import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.core.geometry import FITS, Crop, Size, place
from edgeseg.drawing.overlay import colourise, enlarge, mark_stale, overlay
from tests.helpers.colour_model import COLOURS

PICTURE = Size(90, 120)
NETWORK = Size(32, 64)


def test_colours_are_bgr_and_ignored_pixels_black() -> None:
    coloured = colourise(np.array([[0, 2, 255]], np.uint8), COLOURS)
    assert coloured.tolist() == [[[255, 0, 0], [0, 0, 255], [0, 0, 0]]]


def test_only_what_the_network_saw_is_coloured() -> None:
    picture = np.full((*PICTURE, 3), 100, np.uint8)
    before = picture.copy()
    placement = place(PICTURE, NETWORK, "stretch", Crop(0.0, 0.5, 1.0, 0.5))
    blended = overlay(picture, np.full(NETWORK, 1, np.uint8), placement, COLOURS, 0.5)
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(blended[:45], picture[:45])
    np.testing.assert_allclose(blended[45:].reshape(-1, 3), np.tile([50, 178, 50], (45 * 120, 1)), atol=1)


def test_opacity_runs_from_the_picture_to_the_colours() -> None:
    picture = np.full((*PICTURE, 3), 100, np.uint8)
    placement = place(PICTURE, NETWORK)
    class_map = np.zeros(NETWORK, np.uint8)
    np.testing.assert_array_equal(overlay(picture, class_map, placement, COLOURS, 0.0), picture)
    assert (overlay(picture, class_map, placement, COLOURS, 1.0) == [255, 0, 0]).all()


def test_padding_never_reaches_the_picture() -> None:
    placement = place(PICTURE, NETWORK, "pad")
    class_map = np.full(NETWORK, 2, np.uint8)
    target = placement.target
    class_map[target.y : target.y + target.height, target.x : target.x + target.width] = 1
    assert set(np.unique(enlarge(class_map, placement))) == {1}
    assert enlarge(class_map, placement).shape == PICTURE


@given(
    picture=st.builds(Size, st.integers(1, 200), st.integers(1, 200)),
    network=st.builds(Size, st.integers(1, 90), st.integers(1, 90)),
    fit=st.sampled_from(FITS),
    top=st.floats(0, 0.9),
    opacity=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_one_pass_gives_what_a_full_frame_of_colours_gives(
    picture: Size, network: Size, fit: str, top: float, opacity: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (*picture, 3), dtype=np.uint8)
    class_map = random.integers(0, 4, network, dtype=np.uint8)
    placement = place(picture, network, fit, Crop(0.0, top, 1.0, 1.0 - top))
    x, y, width, height = placement.source
    expected = pixels.copy()
    inside = expected[y : y + height, x : x + width]
    inside[:] = np.rint(inside * (1 - opacity) + colourise(enlarge(class_map, placement), COLOURS) * opacity)
    out = np.full_like(pixels, 7)
    drawn = overlay(pixels, class_map, placement, COLOURS, opacity, out)
    assert drawn is out
    assert np.abs(drawn.astype(int) - expected).max() <= 1


def test_a_stale_picture_has_a_red_frame_and_keeps_its_middle() -> None:
    marked = mark_stale(np.full((*PICTURE, 3), 100, np.uint8))
    for edge in (marked[0], marked[-1], marked[:, 0], marked[:, -1]):
        assert (edge == [0, 0, 255]).all()
    assert (marked[4:-4, 4:-4] == 100).all()
