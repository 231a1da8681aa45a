import numpy as np
import pytest

from edgeseg.core.errors import DataError
from edgeseg.core.labels import ClassMap


def test_the_palette_gives_each_byte_its_colour() -> None:
    palette = ClassMap(("road", "sky"), ((1, 2, 3), (4, 5, 6))).palette()
    assert palette.shape == (256, 3)
    assert palette[1].tolist() == [4, 5, 6]
    assert palette[255].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("names", "colours", "ignore", "said"),
    [
        ((), (), 255, "expected 1 to 255"),
        (("a", "a"), ((0, 0, 0), (1, 1, 1)), 255, "given twice"),
        (("a", "b"), ((0, 0, 0),), 255, "2 class names but 1 colours"),
        (("a",), ((0, 0, 256),), 255, "outside 0 to 255"),
        (("a", "b"), ((0, 0, 0), (1, 1, 1)), 1, "must not be a class id"),
    ],
)
def test_class_maps_that_cannot_be_are_refused(
    names: tuple[str, ...], colours: tuple[tuple[int, int, int], ...], ignore: int, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        ClassMap(names, colours, ignore)


def test_an_id_outside_the_classes_is_named_with_its_place() -> None:
    classes = ClassMap(("a", "b"), ((0, 0, 0), (1, 1, 1)))
    mask = np.array([[0, 1, 255]], np.uint8)
    classes.check(mask, "x.png")
    mask[0, 0] = 7
    with pytest.raises(DataError, match=r"x\.png: class id 7"):
        classes.check(mask, "x.png")
