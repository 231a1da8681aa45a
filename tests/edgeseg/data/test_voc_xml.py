"""PASCAL VOC XML: what is drawn, where pictures are found, and what bad files say."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from edgeseg.core.errors import DataError, EdgesegError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.data.argument import open_dataset
from edgeseg.data.formats.voc_xml import read_voc
from edgeseg.data.reading.polygons import OPENCV
from edgeseg.data.reading.shapes import Shape, draw
from edgeseg.data.reading.voc_annotation import parse_voc
from tests.helpers.data import real_data, voc, voc_polygon, write_picture

ROAD = voc_polygon("Road", 0, 10, 29, 10, 29, 19, 0, 19)
CAR = "<object><name>car</name><bndbox><xmin>4.2</xmin><ymin>8</ymin><xmax>7</xmax><ymax>12</ymax></bndbox></object>"
CAMVID_NAMES = "Sky,Building,Pole,Road,Pavement,Tree,SignSymbol,Fence,Car,Pedestrian,Bicyclist"


def write(root: Path, text: str, stem: str = "a") -> Path:
    path = root / "Annotations" / f"{stem}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def class_map(root: Path, options: str = "") -> np.ndarray:
    return open_dataset(f"voc-xml:{root}{options}").split("train")[0].read()[1]


def test_shapes_are_drawn_in_file_order_and_classes_are_the_founding_ones(tmp_path: Path) -> None:
    write_picture(tmp_path / "JPEGImages" / "a.png")
    write(
        tmp_path,
        voc(voc_polygon("sky", 0, 0, 29, 0, 29, 5, 0, 5), CAR, voc_polygon("ROAD", 0, 10, 29, 10, 29, 19, 0, 19)),
    )
    dataset = open_dataset(f"voc-xml:{tmp_path}")
    assert dataset.classes.names == ("Road", "Sky", "car")
    assert dataset.classes.colours[0] == (128, 64, 128)
    image, ids = dataset.split("train")[0].read()
    assert image.shape == (20, 30, 3)
    assert (ids[10:] == 0).all()
    assert (ids[8:10, 4:8] == 2).all()
    assert (ids[:6] == 1).all()
    assert (ids[6:8] == 255).all()


def test_unlabelled_pixels_become_a_class_by_option(tmp_path: Path) -> None:
    write_picture(tmp_path / "JPEGImages" / "a.png")
    write(tmp_path, voc(ROAD))
    assert (class_map(tmp_path)[:10] == 255).all()
    assert (class_map(tmp_path, "?unlabelled=background")[:10] == 1).all()
    assert (class_map(tmp_path, "?names=Tree,Road&unlabelled=tree")[:10] == 0).all()


def test_coordinates_beyond_the_picture_are_clipped_without_bending_edges() -> None:
    classes = ClassMap(("a",), ((1, 2, 3),))
    for far in (100.0, 1e5, 1e9, 1e300):
        triangle = np.array([[0.0, 0.0], [far, far], [0.0, far]])
        mask = draw([Shape("a", "x", triangle)], Size(40, 60), classes, 255, OPENCV)
        if far <= 1e9:
            assert np.array_equal(mask == 0, np.tri(40, 60, dtype=bool))
    outside = np.array([[-50.0, -50.0], [-10.0, -50.0], [-10.0, -10.0]])
    assert (draw([Shape("a", "x", outside)], Size(40, 60), classes, 255, OPENCV) == 255).all()


CORNERS = st.lists(st.tuples(*[st.integers(-40_000, 40_000) | st.integers(-10, 70)] * 2), min_size=3, max_size=8)


@given(CORNERS)
@example([(0, 0), (0, 0), (-18388, 44)])
@example([(59, 0), (69, 39), (69, 20)])
@example([(0, 0), (59, 5), (40, 39), (0, 30)])
@settings(max_examples=100, deadline=None)
def test_clipping_changes_only_pixels_on_an_edge(points: list[tuple[int, int]]) -> None:
    polygon = np.array(points, np.float64)
    shape = Shape("a", "x", polygon)
    drawn = draw([shape], Size(40, 60), ClassMap(("a",), ((1, 2, 3),)), 255, OPENCV) == 0
    beyond, edges = np.zeros((60, 80), np.uint8), np.zeros((60, 80), np.uint8)
    cv2.fillPoly(beyond, [polygon.astype(np.int32) + 10], 1)
    cv2.polylines(edges, [polygon.astype(np.int32) + 10], True, 1, thickness=3)
    picture = slice(10, 50), slice(10, 70)
    assert not (drawn != beyond[picture])[edges[picture] == 0].any()
    if np.abs(polygon).max() <= 16_000:
        uncut = np.zeros((40, 62), np.uint8)
        cv2.fillPoly(uncut, [polygon.astype(np.int32) + np.array([1, 0], np.int32)], 1)
        assert np.array_equal(drawn, uncut[:, 1:-1])
    if (polygon >= 0).all() and (polygon < (60, 40)).all():
        assert np.array_equal(drawn, beyond[picture])


@pytest.mark.parametrize(
    ("picture", "filename"),
    [
        ("Annotations/a.png", "other.png"),
        ("JPEGImages/a.jpg", "other.png"),
        ("images/a.PNG", "other.png"),
        ("images/other.png", "/home/someone/images/other.png"),
        ("images/other.png", "C:\\\\pictures\\\\other.png"),
        ("images/drive/other.png", "drive/other.png"),
    ],
)
def test_pictures_are_found_in_the_usual_places(tmp_path: Path, picture: str, filename: str) -> None:
    write_picture(tmp_path / picture)
    write(tmp_path, voc(ROAD, filename=filename))
    image, class_map = open_dataset(f"voc-xml:{tmp_path}").split("train")[0].read()
    assert image.shape[:2] == class_map.shape == (20, 30)


def test_a_mask_beside_a_picture_is_not_taken_for_it(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "a.jpg", 20, 31)
    write_picture(tmp_path / "images" / "a.png")
    write(tmp_path, voc(ROAD, filename="a.jpg"))
    assert class_map(tmp_path).shape == (20, 31)
    write(tmp_path, voc(ROAD, filename="b.jpg"))
    with pytest.raises(DataError, match=r"images: a\.png and a\.jpg have one name; expected one picture"):
        open_dataset(f"voc-xml:{tmp_path}").split("train")


def test_folders_of_drives_are_kept_apart(tmp_path: Path) -> None:
    for drive, width in (("monday", 30), ("friday", 31)):
        write_picture(tmp_path / "JPEGImages" / drive / "1.png", 20, width)
        write(tmp_path, voc(ROAD), f"{drive}/1")
    samples = [each for split in ("train", "val") for each in open_dataset(f"voc-xml:{tmp_path}").split(split)]
    assert {Path(each.name).parent.name: each.read_image().shape[1] for each in samples} == {"monday": 30, "friday": 31}
    write_picture(tmp_path / "flat" / "1.png")
    with pytest.raises(DataError, match=r"1\.png is labelled in .*friday/1\.xml already"):
        open_dataset(f"voc-xml:{tmp_path}?images=flat&val=0").split("train")


def test_deleted_objects_are_left_out_and_a_point_stands_once(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "a.png")
    write(tmp_path, voc(ROAD, CAR.replace("<bndbox>", "<deleted>1</deleted><bndbox>")))
    assert set(np.unique(class_map(tmp_path))) == {0, 255}
    write(tmp_path, voc(ROAD.replace("<x2>", "<x1>").replace("</x2>", "</x1>")))
    with pytest.raises(DataError, match=r"object 1 \(Road\): <x1> stands twice"):
        class_map(tmp_path, "?names=Road")


def test_a_picture_that_was_resized_after_labelling_is_noticed(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "a.png")
    small = "<size><width>15</width><height>10</height></size>"
    write(tmp_path, voc(voc_polygon("Road", 0, 5, 15, 5, 15, 10, 0, 10), size=small))
    with pytest.raises(DataError, match=r"a\.xml: labelled at 15x10, but the picture is 30x20; .*sizes=scale"):
        class_map(tmp_path)
    ids = class_map(tmp_path, "?sizes=scale")
    assert ((ids[10:] == 0).all(), (ids[:10] == 255).all()) == (True, True)
    assert (class_map(tmp_path, "?sizes=ignore")[11:] == 255).all()
    write(tmp_path, voc(ROAD, size=small))
    assert (class_map(tmp_path)[10:] == 0).all(), "what lies beyond a placeholder was drawn on the picture"
    with pytest.raises(UsageError, match=r"sizes=scaled.*expected check, scale, ignore"):
        class_map(tmp_path, "?sizes=scaled")


def test_a_folder_for_the_pictures(tmp_path: Path) -> None:
    write_picture(tmp_path / "frames" / "a.png")
    write(tmp_path, voc(ROAD))
    assert class_map(tmp_path, "?images=frames").shape == (20, 30)


@pytest.mark.parametrize("hint", ["../../etc/passwd", "../secret.png", "/etc/passwd", "x" * 400 + ".png"])
def test_a_path_out_of_the_data_is_never_followed(tmp_path: Path, hint: str) -> None:
    write_picture(tmp_path / "secret.png")
    data = tmp_path / "data"
    write(data, voc(ROAD, filename=hint).replace("</filename>", f"</filename><path>{hint}</path>"))
    (data / "deeper").mkdir()
    with pytest.raises(DataError, match=r"a\.xml: no image"):
        open_dataset(f"voc-xml:{data}").split("train")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (voc(ROAD)[:80], r"line \d+: (unclosed|no element)"),
        ("", "no element found"),
        ('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + voc(ROAD), r"line 1: a document type"),
        ("<!DOCTYPE x>" + voc(ROAD), "document type"),
        (voc(ROAD.replace("Road", "&e;")), "undefined entity"),
        ("<html/>", "<html> is the outermost"),
        (voc(voc_polygon("Road", 1, 2, "NaN", 4, 5, 6)), r"object 1 \(Road\): coordinate nan"),
        (voc(ROAD, voc_polygon("Sky", 1, "inf", 3, 4)), r"object 2 \(Sky\): coordinate inf"),
        (voc(voc_polygon("Road", 1, 2, "x", 4)), "could not convert"),
        (voc(ROAD.replace("<y2>10</y2>", "")), "<y2> is missing"),
        (voc("<object><name>Road</name></object>"), "neither <polygon> nor <bndbox>"),
        (voc("<object/>"), "no <name>"),
        ('<?xml version="1.0" encoding="no-such"?>' + voc(ROAD), "encoding"),
    ],
)
def test_a_bad_file_is_named_and_the_others_are_read(tmp_path: Path, text: str, expected: str) -> None:
    for stem in "ab":
        write_picture(tmp_path / "images" / f"{stem}.png")
    write(tmp_path, text)
    write(tmp_path, voc(ROAD), "b")
    bad, good = open_dataset(f"voc-xml:{tmp_path}?val=0").split("train")
    assert (good.read()[1] == 0).any()
    with pytest.raises(DataError, match=expected) as caught:
        bad.read()
    assert str(tmp_path / "Annotations" / "a.xml") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_class_that_is_not_listed(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "a.png")
    write(tmp_path, voc(ROAD, CAR))
    with pytest.raises(DataError, match=r"a\.xml: object 2 \(car\): class 'car' is not in the class list"):
        class_map(tmp_path, "?names=Road")


def test_labels_of_a_picture_on_its_side_agree_with_it(tmp_path: Path) -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:10, :25] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "images").mkdir()
    Image.fromarray(pixels).save(tmp_path / "images" / "a.jpg", exif=exif, quality=95)
    stored, upright = (f"<size><width>{w}</width><height>{h}</height></size>" for w, h in ((60, 40), (40, 60)))
    for text in (
        voc(voc_polygon("x", 0, 0, 24, 0, 24, 9, 0, 9), size=stored),
        voc(voc_polygon("x", 39, 0, 39, 24, 30, 24, 30, 0), size=upright),
    ):
        write(tmp_path, text)
        image, ids = open_dataset(f"voc-xml:{tmp_path}").split("train")[0].read()
        assert np.array_equal(image[..., 0] > 127, ids == 0)


def test_image_sets_and_folders_are_splits(tmp_path: Path) -> None:
    for stem in ("a1", "a2", "b1"):
        write_picture(tmp_path / "JPEGImages" / f"{stem}.png")
        write(tmp_path, voc(ROAD), stem)
    sets = tmp_path / "ImageSets" / "Segmentation"
    sets.mkdir(parents=True)
    (sets / "train.txt").write_text("b1\na1\n")
    (sets / "val.txt").write_text('"a2"\t1\nc9\n')
    dataset = open_dataset(f"voc-xml:{tmp_path}")
    assert [Path(sample.name).stem for sample in dataset.split("train")] == ["b1", "a1"]
    with pytest.raises(DataError, match=r"val\.txt: line 2: 'c9' is no sample"):
        dataset.split("val")
    assert len(dataset.split("val", complete=False)) == 2
    for split in ("train", "valid"):
        write_picture(tmp_path / "r" / split / "a.png")
        (tmp_path / "r" / split / "a.xml").write_text(voc(ROAD))
    assert open_dataset(f"voc-xml:{tmp_path / 'r'}").splits == ("train", "val")


@given(
    st.binary(max_size=200)
    | st.text(alphabet="<>/&; annotionbjecplygxy1=\"'!DOCTYPE[]-?", max_size=200).map(str.encode)
)
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_an_annotation_or_one_line(text: bytes) -> None:
    message = "file.xml"
    try:
        parse_voc(text, "file.xml")
    except EdgesegError as error:
        message = str(error)
    assert message.startswith("file.xml")
    assert "\n" not in message


@given(
    st.lists(
        st.floats() | st.text(alphabet="0123456789.eE+-naif_ ", max_size=8) | st.integers(-(10**400), 10**400),
        max_size=12,
    )
)
@settings(max_examples=200, deadline=None)
def test_any_coordinates_are_drawn_or_one_line(values: list[object]) -> None:
    try:
        shapes = parse_voc(voc(voc_polygon("a", *values)).encode(), "file.xml").annotation.shapes
    except DataError as error:
        shapes = []
        assert_named(str(error))
    mask = draw(shapes, Size(20, 30), ClassMap(("a",), ((0, 0, 0),)), 255, OPENCV)
    assert set(np.unique(mask)) <= {0, 255}


def assert_named(message: str) -> None:
    assert message.startswith("file.xml: object 1 (a)")
    assert "\n" not in message


def test_all_real_exports_parse() -> None:
    paths = sorted(real_data("labels/voc_xml").glob("*.xml"))
    assert len(paths) == 37
    assert sum(len(read_voc(path).annotation.shapes) for path in paths) == 51


def test_masks_drawn_from_real_polygons_agree() -> None:
    root = real_data("labels/camvid_voc")
    samples = open_dataset(f"voc-xml:{root}?names={CAMVID_NAMES}").split("train")
    assert len(samples) == 6
    for sample in samples:
        expected = cv2.imread(str(root / "masks" / f"{Path(sample.name).stem}.png"), cv2.IMREAD_UNCHANGED)
        assert expected is not None
        assert (sample.read()[1] == expected).mean() >= 0.999
