import numpy as np
from conftest import COLOURS

from edgeseg.geometry import Crop, Size, place
from edgeseg.overlay import colourise, enlarge, overlay

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
