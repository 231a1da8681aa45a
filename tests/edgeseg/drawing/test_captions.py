import numpy as np

from edgeseg.core.geometry import Size
from edgeseg.drawing.captions import Captions
from tests.helpers.colour_model import COLOURS

SIZE = Size(360, 640)


def test_the_legend_shows_each_class_s_colour_beside_a_name() -> None:
    written = Captions(COLOURS, SIZE).write(np.zeros((*SIZE, 3), np.uint8), "25.0 fps")
    legend = written[:, SIZE.width // 2 :]
    rows = [np.flatnonzero((legend == colour[::-1]).all(axis=2).any(axis=1)) for colour in COLOURS.colours]
    assert all(len(found) for found in rows)
    assert rows[0].max() < rows[1].min() < rows[1].max() < rows[2].min()
    for found in rows:  # a name in light letters stands in the rows of its colour
        assert (legend[found].min(axis=2) > 150).any()


def test_the_text_stands_at_the_left_and_little_else_is_covered() -> None:
    plain = np.full((*SIZE, 3), 90, np.uint8)
    written = Captions(COLOURS, SIZE, legend=False).write(plain.copy(), "25.0 fps")
    assert (written[:30, :100].min(axis=2) > 150).any()
    assert (written != plain).any(axis=2).mean() < 0.02


def test_nothing_is_written_on_a_picture_that_text_would_hide() -> None:
    plain = np.full((72, 128, 3), 90, np.uint8)
    np.testing.assert_array_equal(Captions(COLOURS, Size(72, 128)).write(plain.copy(), "25.0 fps"), plain)


def test_more_classes_than_rows_never_run_out_of_the_picture() -> None:
    many = type(COLOURS)(tuple(f"class number {i}" for i in range(60)), ((9, 9, 9),) * 60)
    size = Size(180, 320)
    assert Captions(many, size).write(np.zeros((*size, 3), np.uint8), "x" * 300).shape == (180, 320, 3)
