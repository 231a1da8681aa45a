"""CVAT's XML for images: shapes, classes, pictures, and what bad files say."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from edgeseg.core.errors import DataError, UsageError
from edgeseg.data.argument import open_dataset
from edgeseg.data.base import Mask
from edgeseg.data.formats.cvat import Cvat
from tests.helpers.cvat import cvat, image, polygon, shape, write_cvat

ROAD = polygon("road", "0.00,10.00;30.00,10.00;30.00,20.00;0.00,20.00")


def drawn(root: Path, *shapes: str, options: str = "", more: str = "") -> Mask:
    """Return the class map of one picture, 30x20, with these shapes."""
    write_cvat(root, cvat(image("a.png", *shapes, more=more)), "a.png")
    return open_dataset(f"cvat:{root}{options}").split("train")[0].read()[1]


def test_polygons_and_masks_in_z_order(tmp_path: Path) -> None:
    """As in a task of roads and cars, whose cars are brushed."""
    car = {"rle": "0, 8", "left": 10, "top": 50, "width": 4, "height": 2}
    text = cvat(
        *(
            image(
                f"{number}.png",
                shape("mask", "car", 1, **car),
                polygon("road", "0,40;120,40;120,80;0,80"),
                width=120,
                height=80,
            )
            for number in range(3)
        )
    )
    write_cvat(tmp_path, text)
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((80, 120, 3), number, np.uint8))
    dataset = open_dataset(f"cvat:{tmp_path}")
    assert dataset.classes.names == ("road", "car")
    assert dataset.classes.colours == ((128, 64, 128), (0, 0, 142))
    expected = np.full((80, 120), 255, np.uint8)
    expected[40:] = 0
    expected[50:52, 10:14] = 1
    for sample in dataset.split("train"):
        assert np.array_equal(sample.read()[1], expected)


def test_a_pole_on_pixel_edges_is_two_wide(tmp_path: Path) -> None:
    pole = polygon("road", "5,0;7,0;7,20;5,20")
    assert (drawn(tmp_path, pole) == 0).sum() == 40
    assert (drawn(tmp_path, pole, options="?edges=inclusive") == 0).sum() == 60
    assert open_dataset(f"cvat:{tmp_path}").edges == "pixel edges, as pycocotools"
    box = shape("box", xtl="5.00", ytl="0.00", xbr="7.00", ybr="20.00")
    assert np.array_equal(drawn(tmp_path, box), drawn(tmp_path, pole))


def test_turned_boxes_turn_clockwise(tmp_path: Path) -> None:
    box = {"xtl": "5", "ytl": "8", "xbr": "15", "ybr": "12"}
    assert np.array_equal(
        drawn(tmp_path, shape("box", **box, rotation="90.00")),
        drawn(tmp_path, shape("box", xtl="8", ytl="5", xbr="12", ybr="15")),
    )
    ids = drawn(tmp_path, shape("box", **box, rotation="30.00"))
    assert ids[12, 13] == ids[7, 6] == 0  # down on the right, up on the left
    assert ids[7, 13] == 255


@pytest.mark.parametrize(
    ("centre", "radii", "angle"), [((12, 9), (7, 4), 0), ((2, 18), (9, 5), 40), ((29, -3), (6, 8), 100)]
)
def test_ellipses_are_those_of_cvats_own_masks(
    tmp_path: Path, centre: tuple[int, int], radii: tuple[int, int], angle: int
) -> None:
    """CVAT fills them with OpenCV (EllipsesToMasks in its transformations.py), centre and radii rounded."""
    expected = np.full((20, 30), 255, np.uint8)
    cv2.ellipse(expected, centre, radii, angle, 0, 360, 0, thickness=-1)
    place = {"cx": centre[0] + 0.25, "cy": centre[1] - 0.25, "rx": radii[0] + 0.3, "ry": radii[1] - 0.3}
    ellipse = shape("ellipse", **place, rotation=angle)
    assert np.array_equal(drawn(tmp_path, ellipse), expected)
    by_edges = drawn(tmp_path, ellipse, options="?edges=pixel")
    assert (by_edges == 0).any()
    assert not np.array_equal(by_edges, expected)


@pytest.mark.parametrize(
    ("far", "covered"),
    [
        (("1e8", "5", "1e8", "3"), 0),  # its tip touches the picture's edge
        (("-500", "-500", "20", "20"), 0),
        (("10", "10", "1e12", "1e12"), 30 * 20),
    ],
)
def test_ellipses_far_outside_or_huge(tmp_path: Path, far: tuple[str, ...], covered: int) -> None:
    ids = drawn(tmp_path, shape("ellipse", **dict(zip(("cx", "cy", "rx", "ry"), far, strict=True))))
    assert (ids == 0).sum() == covered


def test_a_size_that_no_picture_has_takes_no_memory(tmp_path: Path) -> None:
    ellipse = shape("ellipse", cx=16000, cy=16000, rx=16000, ry=16000)
    write_cvat(tmp_path, cvat(image("a.png", ROAD, ellipse, width=999999, height=999999)), "a.png")
    sample = open_dataset(f"cvat:{tmp_path}?sizes=ignore").split("train")[0]
    tracemalloc.start()
    sample.read()
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_masks_run_along_the_rows_and_may_hang_over(tmp_path: Path) -> None:
    ids = drawn(tmp_path, shape("mask", rle="1, 3, 2, 2", left=28, top=-1, width=4, height=2))
    assert np.argwhere(ids == 0).tolist() == []  # the second row's are at 30 and 31
    ids = drawn(tmp_path, shape("mask", rle="1, 3, 2, 2", left=4, top=5, width=4, height=2))
    assert np.argwhere(ids == 0).tolist() == [[5, 5], [5, 6], [5, 7], [6, 6], [6, 7]]


def counted(dataset: Cvat) -> dict[tuple[str, str], int]:
    return {(each["class"], each["what"]): each["count"] for each in dataset.remarks.left_out()}


def test_what_covers_no_pixels_is_counted_and_lines_can_be_drawn(tmp_path: Path) -> None:
    points = shape("points", "car", points="1,1;2,2")
    lane = shape("polyline", "lane", points="3,0;3,20")
    skeleton = shape("skeleton", "car", content=points)
    cuboid = shape("cuboid", "car", xtl1="1")
    tag = '<tag label="road" source="manual"></tag>'
    ids = drawn(tmp_path, ROAD, points, lane, lane, skeleton, cuboid, tag)
    assert set(np.unique(ids)) == {0, 255}
    dataset = Cvat(str(tmp_path))
    assert dataset.classes.names == ("road", "car")
    assert counted(dataset) == {
        ("car", "<points>s"): 1,
        ("lane", "<polyline>s"): 2,
        ("car", "<skeleton>s"): 1,
        ("car", "<cuboid>s"): 1,
        ("road", "<tag>s"): 1,
    }
    with_lines = Cvat(str(tmp_path), line_width="3")
    assert with_lines.classes.names == ("road", "car", "lane")
    assert ("lane", "<polyline>s") not in counted(with_lines)
    assert (with_lines.split("train")[0].read()[1][:, 2:5] == 2).all()


def test_classes_are_those_that_are_declared(tmp_path: Path) -> None:
    labels = (
        ("Road", "#804080", "polygon"),
        ("person", "#804080", "any"),
        ("elbow", "#000000", "points"),
        ("ignore", "", ""),
    )
    text = cvat(image("a.png", ROAD, polygon("ignore", "0,0;9,0;9,9", 1)), labels=labels, of="job")
    write_cvat(tmp_path, text, "a.png")
    dataset = open_dataset(f"cvat:{tmp_path}?unlabelled=background")
    assert dataset.classes.names == ("Road", "person", "background")
    assert len(set(dataset.classes.colours)) == 3
    ids = dataset.split("train")[0].read()[1]
    assert (ids[1, 7], ids[0, 20], ids[15, 0]) == (255, 2, 0)
    assert open_dataset(f"cvat:{tmp_path}?names=person,road").classes.names == ("person", "road")
    (tmp_path / "annotations.xml").write_text(cvat(image("a.png", ROAD, polygon("car", "0,0;9,0;9,9")), labels=()))
    assert open_dataset(f"cvat:{tmp_path}").classes.names == ("road", "car")


@pytest.mark.parametrize(("size", "kept"), [((20, 30), True), ((30, 20), False)])
def test_pictures_with_an_exif_rotation(tmp_path: Path, size: tuple[int, int], kept: bool) -> None:
    """CVAT shows pictures upright; older versions, and tools that write its XML, label them as they are stored."""
    exif = Image.Exif()
    exif[274] = 6
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "images" / "a.jpg", exif=exif)
    corner = polygon("road", "0,0;10,0;10,5;0,5")
    (tmp_path / "annotations.xml").write_text(cvat(image("a.jpg", corner, width=size[0], height=size[1])))
    picture, ids = open_dataset(f"cvat:{tmp_path}").split("train")[0].read()
    assert picture.shape[:2] == ids.shape == (30, 20)
    expected = np.zeros((30, 20), bool)
    if kept:
        expected[:5, :10] = True
    else:
        expected[:10, 15:] = True  # what is stored as the left upper corner is the right upper one
    assert np.array_equal(ids == 0, expected)


def test_subsets_are_splits_and_their_folders_are_found(tmp_path: Path) -> None:
    images = [
        image(name, ROAD, more=f'subset="{subset}" task_id="1"')
        for subset, name in (("Train", "a.png"), ("Train", "b/1.png"), ("Validation", "a.png"))
    ]
    write_cvat(tmp_path, cvat(*images, of="project"), "Train/a.png", "Train/b/1.png", "Validation/a.png")
    dataset = open_dataset(f"cvat:{tmp_path}")
    assert {split: len(dataset.split(split)) for split in dataset.splits} == {"train": 2, "val": 1}
    assert [sample.read()[1].shape for sample in dataset.split("val")] == [(20, 30)]


def test_two_elements_of_one_picture_are_an_error(tmp_path: Path) -> None:
    write_cvat(tmp_path, cvat(image("a.png", ROAD), image("a.png", ROAD)), "a.png")
    with pytest.raises(DataError, match=r"image 2 \(a\.png\): .*a\.png is labelled in .*image 1 \(a\.png\) already"):
        open_dataset(f"cvat:{tmp_path}").split("train")


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (
            shape("mask", rle="0, 7", left=1, top=1, width=4, height=2),
            r"mask 2 \(road\): RLE covers 7 pixels; expected 8, 4x2",
        ),
        (shape("mask", rle="0, 9", left=1, top=1, width=4, height=2), "RLE covers 9 pixels; expected 8, 4x2"),
        (shape("mask", rle="0; 8", left=1, top=1, width=4, height=2), "run '0; 8' in its rle"),
        (shape("mask", rle="0, 8", left="1.5", top=1, width=4, height=2), "left '1.5'; expected a whole number"),
        (shape("mask", rle="0, 8", left=1, top=1, width=90000, height=90000), "a mask of 90000x90000"),
        (polygon("road", "1,2;3"), "points '1,2;3'; expected x,y;x,y"),
        (polygon("road", ""), "points ''"),
        (polygon("road", "1,2;3,nan;4,4"), "coordinate nan"),
        (polygon("rode", "1,2;3,4;5,6"), r"class 'rode' is not in the class list \(did you mean road\?\)"),
        (polygon("", "1,2;3,4;5,6"), "has no label"),
        (polygon("road", "1,2;3,4;5,6", "top"), "z_order 'top'"),
        (shape("poligon", points="1,2;3,4;5,6"), r"<poligon> \(did you mean polygon\?\)"),
        (shape("ellipse", cx=1, cy=1, rx=-3, ry=1), "radii -3 and 1"),
        (shape("box", xtl=1, ytl=1, xbr=3, ybr=3, rotation="inf"), "rotation: coordinate inf"),
    ],
)
def test_a_wrong_shape_is_named(tmp_path: Path, wrong: str, expected: str) -> None:
    with pytest.raises(DataError, match=rf"annotations\.xml: image 1 \(a\.png\): .*{expected}"):
        drawn(tmp_path, ROAD, wrong)


def test_another_size_than_the_pictures_is_an_error(tmp_path: Path) -> None:
    write_cvat(tmp_path, cvat(image("a.png", ROAD, width=60, height=40)), "a.png")
    with pytest.raises(DataError, match="labelled at 60x40, but the picture is 30x20"):
        open_dataset(f"cvat:{tmp_path}").split("train")[0].read()
    ids = open_dataset(f"cvat:{tmp_path}?sizes=scale").split("train")[0].read()[1]
    assert (ids[5:10, :15] == 0).all()
    assert (ids[10:] == 255).all()


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"<?xml version='1.0'?>{BOMB}<annotations>&c;</annotations>", "line 1: a document type"),
        (f"<?xml version='1.0'?>{OUTSIDE}<annotations>&b;</annotations>", "line 1: a document type"),
        ("<annotations>&b;</annotations>", "undefined entity"),
        ("<annotations>" + "<image>" * 200_000, "no element found"),
        ("<annotation><object/></annotation>", "<annotation> is the outermost element; .*read it as voc-xml:"),
        ("<annotations><version>1.1</version></annotations>", "no class found"),
        ("", "no element found"),
        ("road", "syntax error|not well-formed"),
        ("<?xml version='1.0' encoding='klingon'?><annotations/>", "encoding"),
    ],
)
def test_a_file_that_is_none_of_cvats(tmp_path: Path, text: str, expected: str) -> None:
    write_cvat(tmp_path, text)
    with pytest.raises(DataError, match=expected) as caught:
        open_dataset(f"cvat:{tmp_path}")
    assert "\n" not in str(caught.value)


def test_depth_alone_does_no_harm(tmp_path: Path) -> None:
    deep = "<a>" * 100_000 + "</a>" * 100_000
    write_cvat(tmp_path, cvat(image("a.png", ROAD), deep), "a.png")
    assert (open_dataset(f"cvat:{tmp_path}").split("train")[0].read()[1] == 0).sum() == 300


def test_options_and_paths_that_are_wrong(tmp_path: Path) -> None:
    write_cvat(tmp_path, cvat(image("a.png", ROAD)))
    for option, expected in (
        ("tracks=all", "expected check or listed"),
        ("edges=round", "edges=round"),
        ("line_width=x", "pixels"),
    ):
        with pytest.raises(UsageError, match=expected):
            open_dataset(f"cvat:{tmp_path}?{option}")
    with pytest.raises(DataError, match=r"no image 'a\.png' .*Save images.*images=FOLDER"):
        open_dataset(f"cvat:{tmp_path}").split("train")
    with pytest.raises(DataError, match="no such file"):
        open_dataset(f"cvat:{tmp_path / 'none'}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no XML file"):
        open_dataset(f"cvat:{tmp_path / 'empty'}")


def test_pictures_elsewhere_and_the_file_alone(tmp_path: Path) -> None:
    write_cvat(tmp_path / "labels", cvat(image("monday/1.png", ROAD)))
    write_cvat(tmp_path / "frames", cvat(), "monday/1.png", folder=".")
    argument = f"cvat:{tmp_path / 'labels' / 'annotations.xml'}"
    assert len(open_dataset(f"{argument}?images=../frames").split("train")) == 1
