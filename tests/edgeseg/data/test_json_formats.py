"""COCO and LabelMe JSON: shapes, run lengths, and what bad files say."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgeseg.core.errors import DataError, EdgesegError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.data.argument import open_dataset
from edgeseg.data.formats.coco import CocoFile
from edgeseg.data.labelme.annotation import read_labelme
from edgeseg.data.reading.rle import mask_from_rle
from edgeseg.data.tools.write_masks import write_masks
from tests.helpers.data import write_picture

CATEGORIES = [{"id": 7, "name": "Sky"}, {"id": 3, "name": "road"}, {"id": 4, "name": "Car"}]
SQUARE = [2, 2, 6, 2, 6, 6, 2, 6]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def annotation(category: int, segmentation: Any, **more: Any) -> dict[str, Any]:
    return {"image_id": 5, "category_id": category, "segmentation": segmentation, **more}


def coco(
    root: Path, *annotations: Any, file_name: str = "a.png", name: str = "annotations/instances_default.json"
) -> Path:
    write_picture(root / "images" / "a.png")
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [{"id": 5, "file_name": file_name, "width": 30, "height": 20}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": CATEGORIES}))
    return path


def test_coco_shapes_are_drawn_in_file_order(tmp_path: Path) -> None:
    runs = {"size": [20, 30], "counts": [20 * 10, 20 * 2, 20 * 18]}
    coco(
        tmp_path,
        annotation(7, [[0, 0, 30, 0, 30, 10, 0, 10]]),
        annotation(3, [SQUARE, [20, 15, 25, 15, 25, 18]]),
        annotation(4, runs),
        annotation(4, [], bbox=[0, 15, 3, 2]),
        annotation(4, [[27, 12, 30, 12, 30, 20, 27, 20]], iscrowd=1),
    )
    dataset = open_dataset(f"coco:{tmp_path}?unlabelled=ROAD")
    assert dataset.classes.names == ("Sky", "road", "Car")
    assert dataset.classes.colours[1] == (128, 64, 128)
    ids = dataset.split("train")[0].read()[1]
    assert (ids[2:6, 2:6] == 1).all()
    assert (ids[6, 2:6] == 0).all()
    assert (ids[:, 10:12] == 2).all()
    assert (ids[15:17, 0:3] == 2).all()
    assert (ids[17, 0:3] == 1).all()
    assert (ids[15:17, 3] == 1).all()
    assert (ids[12:, 27:] == 255).all()
    assert ids[0, 0] == 0


def test_coco_crowds_are_ignored_unless_they_are_classes(tmp_path: Path) -> None:
    """Some tools write every brushed region as a crowd."""
    coco(tmp_path, annotation(4, {"size": [20, 30], "counts": [0, 20, 580]}, iscrowd=1))
    for option, expected in (("", 255), ("&crowd=class", 2)):
        ids = open_dataset(f"coco:{tmp_path}?unlabelled=road{option}").split("train")[0].read_class_map()
        assert (set(ids[:, 0]), set(ids[:, 1])) == ({expected}, {1})
    coco(tmp_path, annotation(3, [SQUARE]), annotation(4, {"size": [20, 30], "counts": [0, 600]}, iscrowd=1))
    ids = open_dataset(f"coco:{tmp_path}?unlabelled=road").split("train")[0].read_class_map()
    assert (ids[2:6, 2:6] == 1).all()  # what is labelled by itself stays so
    assert (ids == 255).sum() == 600 - 16
    with pytest.raises(UsageError, match="crowd=label; expected ignore or class"):
        open_dataset(f"coco:{tmp_path}?crowd=label")


def test_coco_labels_of_another_size_are_an_error_or_scaled(tmp_path: Path) -> None:
    runs = {"size": [10, 15], "counts": [0, 10, 140]}
    path = coco(tmp_path, annotation(7, [[0, 0, 15, 0, 15, 5, 0, 5]]), annotation(4, runs))
    path.write_text(path.read_text().replace('"width": 30, "height": 20', '"width": 15, "height": 10'))
    with pytest.raises(DataError, match="labelled at 15x10, but the picture is 30x20"):
        open_dataset(f"coco:{tmp_path}").split("train")[0].read()
    ids = open_dataset(f"coco:{tmp_path}?sizes=scale").split("train")[0].read_class_map()
    assert (ids[:, :2] == 2).all()
    assert (ids[:10, 2:] == 0).all()
    assert (ids[10:, 2:] == 255).all()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"id": 3, "name": "road"', '"id": 7, "name": "road"', r"category 2: id 7 is that of 'Sky' and of 'road'"),
        ('"images": [', '"images": [{"id": 5, "file_name": "b.png"}, ', r"image 1: id 5 is given to several images"),
        ('"images": [', '"images": [{"id": 6, "file_name": "a.png"}, ', r"images/a\.png is labelled in .* already"),
        ('"image_id": 5', '"image_id": 6', r"annotation 1: image 6 is not listed"),
    ],
)
def test_coco_files_that_were_put_together_wrongly(tmp_path: Path, old: str, new: str, expected: str) -> None:
    path = coco(tmp_path, annotation(7, [SQUARE]))
    write_picture(tmp_path / "images" / "b.png")
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=expected):
        open_dataset(f"coco:{tmp_path}").split("train")


def test_a_coco_picture_in_a_folder_is_not_the_one_of_its_name_beside_it(tmp_path: Path) -> None:
    coco(tmp_path, annotation(7, [SQUARE]), file_name="monday\\a.png")
    write_picture(tmp_path / "images" / "monday" / "a.png")
    write_picture(tmp_path / "annotations" / "a.png", 9, 9)
    sample = open_dataset(f"coco:{tmp_path}?group=(.*)/").split("train")[0]
    assert sample.read_image().shape == (20, 30, 3)


def two_of_one_name(root: Path) -> Path:
    """Write pictures monday/a.png and friday/a.png, and another a.png beside the file that labels the two."""
    path = coco(root, annotation(7, [SQUARE]), file_name="monday/a.png", name="labels.json")
    document = json.loads(path.read_text())
    document["images"].append({**document["images"][0], "id": 6, "file_name": "friday/a.png"})
    path.write_text(json.dumps(document))
    for picture, side in (("monday/a.png", 30), ("friday/a.png", 30), ("a.png", 7)):
        write_picture(root / picture, 20 if side == 30 else side, side)
    return path


@pytest.mark.parametrize("argument", ["labels.json", "."])
def test_coco_in_the_current_folder_is_what_it_is_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argument: str
) -> None:
    two_of_one_name(tmp_path)
    monkeypatch.chdir(tmp_path)
    samples = open_dataset(f"coco:{argument}?val=0").split("train")
    assert [sample.name for sample in samples] == ["monday/a.png", "friday/a.png"]
    assert samples[0].read()[0].shape == (20, 30, 3)


def test_each_coco_picture_has_its_own_mask_file(tmp_path: Path) -> None:
    dataset = open_dataset(f"coco:{two_of_one_name(tmp_path)}?val=0")
    assert write_masks(dataset, tmp_path / "masks") == 2
    written = sorted(str(path.relative_to(tmp_path / "masks")) for path in (tmp_path / "masks").rglob("*.png"))
    assert written == ["train/friday/a.png", "train/monday/a.png"]


def test_coco_s_own_folder_has_other_files_of_the_same_pictures(tmp_path: Path) -> None:
    coco(tmp_path, annotation(7, [SQUARE]))
    (tmp_path / "annotations" / "captions_train2017.json").write_text('{"images": [], "annotations": []}')
    assert len(open_dataset(f"coco:{tmp_path}").split("train")) == 1


def test_pictures_of_one_name_in_several_coco_files_are_all_there(tmp_path: Path) -> None:
    for drive in ("monday", "friday"):
        coco(tmp_path / drive, annotation(7, [SQUARE]), name="instances_default.json")
        (tmp_path / drive / "instances_default.json").rename(tmp_path / f"{drive}.json")
        text = (tmp_path / f"{drive}.json").read_text().replace("a.png", f"{drive}/images/a.png")
        (tmp_path / f"{drive}.json").write_text(text.replace(f"{drive}/images/a.png", "a.png"))
    write_picture(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png is labelled in .*friday\.json: a\.png already"):
        open_dataset(f"coco:{tmp_path}").split("train")


def test_coco_files_are_splits_and_merge(tmp_path: Path) -> None:
    for name in ("train2017", "val2017"):
        coco(tmp_path, annotation(3, [SQUARE]), name=f"annotations/instances_{name}.json")
    dataset = open_dataset(f"coco:{tmp_path}?classes=ROAD;other=*")
    assert dataset.splits == ("train", "val")
    assert dataset.classes.names == ("ROAD", "other")
    assert open_dataset(f"coco:{tmp_path}/annotations/instances_val2017.json").splits == ("train",)


def compressed(counts: list[int]) -> str:
    """COCO's compression, as rleToString in maskApi.c writes it."""
    text = ""
    for index, count in enumerate(counts):
        value = count - counts[index - 2] if index > 2 else count
        more = True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != -1 if bits & 0x10 else value != 0
            text += chr(bits + (0x20 if more else 0) + 48)
    return text


def test_run_lengths_by_hand() -> None:
    expected = [[0, 1, 0], [0, 1, 0], [1, 0, 0]]
    assert mask_from_rle([2, 3, 4], Size(3, 3), "x").astype(int).tolist() == expected
    assert mask_from_rle("234", Size(3, 3), "x").astype(int).tolist() == expected
    # 100 = 3 * 32 + 4: '4' with the sign that more follow is chr(4 + 32 + 48) = 'T', then '3'
    assert mask_from_rle("T300", Size(10, 10), "x").sum() == 0
    # the fourth run is given as its difference to the second: 1, 2, 1, then 2 - 2 = '0'
    assert mask_from_rle("1210", Size(2, 3), "x").T.ravel().astype(int).tolist() == [0, 1, 1, 0, 1, 1]


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_both_forms_of_run_lengths_agree(counts: list[int]) -> None:
    size = Size(1, max(sum(counts), 1))
    counts[-1] += size.width - sum(counts)
    assert np.array_equal(mask_from_rle(compressed(counts), size, "x"), mask_from_rle(counts, size, "x"))


@given(st.text(max_size=20) | JSON_VALUES)
@settings(max_examples=100, deadline=None)
def test_any_run_lengths_are_a_mask_or_one_line(counts: Any) -> None:
    message = "x:"
    try:
        assert mask_from_rle(counts, Size(2, 3), "x").shape == (2, 3)
    except DataError as error:
        message = str(error)
    assert message.startswith("x:")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (annotation(3, [[1, 2, float("nan"), 4]]), r"annotation 1 \(road\): coordinate nan"),
        (annotation(3, [[1, 2, 3]]), "3 coordinates"),
        (annotation(99, [SQUARE]), "category 99 is not declared"),
        (annotation(3, {"size": [20, 30], "counts": [5]}), "RLE covers 5 pixels; expected 600"),
        (annotation(3, {"size": [40, 30], "counts": [1200]}), "RLE of 30x40; expected the picture's 30x20"),
        (annotation(3, {"size": [20, 30], "counts": "\x7f"}), "RLE holds"),
        (annotation(3, []), "'bbox' is missing"),
        ({"image_id": 5, "segmentation": [SQUARE]}, "'category_id' is missing"),
    ],
)
def test_a_bad_coco_annotation_is_named(tmp_path: Path, entry: Any, expected: str) -> None:
    path = coco(tmp_path, entry)
    sample = open_dataset(f"coco:{path}").split("train")[0]
    with pytest.raises(DataError, match=expected) as caught:
        sample.read()
    assert str(caught.value).startswith(f"{path}: annotation 1")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["../../etc/passwd", "../secret.png", "/etc/passwd", "../data2/secret.png"])
def test_a_coco_path_is_never_followed_out_of_the_data(tmp_path: Path, name: str) -> None:
    write_picture(tmp_path / "secret.png")
    write_picture(tmp_path / "data2" / "secret.png")
    coco(tmp_path / "data", annotation(3, [SQUARE]), file_name=name)
    with pytest.raises(DataError, match="image 1: no image"):
        open_dataset(f"coco:{tmp_path / 'data'}").split("train")


def test_a_number_that_nobody_needs_may_be_nan(tmp_path: Path) -> None:
    path = coco(tmp_path, annotation(3, [SQUARE], area=float("nan")))
    assert "NaN" in path.read_text()
    assert open_dataset(f"coco:{path}").split("train")[0].read()[1].max() > 0


@given(JSON_VALUES, JSON_VALUES, JSON_VALUES)
@settings(max_examples=100, deadline=None)
def test_any_coco_json_is_read_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, images: Any, annotations: Any, segmentation: Any
) -> None:
    root = tmp_path_factory.getbasetemp() / "any-coco"
    path = coco(root)
    document = {"images": images, "annotations": annotations, "categories": CATEGORIES}
    path.write_text(json.dumps(document))
    messages = []
    for write in (lambda: None, lambda: coco(root, annotation(3, segmentation, bbox=segmentation))):
        write()
        try:
            CocoFile(path)
            open_dataset(f"coco:{path}").split("train")[0].read()
        except EdgesegError as error:
            messages.append(str(error))
    assert all("\n" not in message for message in messages)


def labelme(root: Path, *shapes: Any, stem: str = "a", **more: Any) -> Path:
    path = root / f"{stem}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"shapes": shapes, "imageHeight": 20, "imageWidth": 30, **more}))
    return path


def shape(label: str, points: Any, kind: str = "polygon", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, **more}


def test_labelme_shapes(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    stream = io.BytesIO()
    Image.fromarray(np.eye(4, dtype=np.uint8) * 255).save(stream, "PNG")
    labelme(
        tmp_path,
        shape("road", [[0, 10], [29, 10], [29, 19], [0, 19]]),
        shape("Car", [[8, 14], [4, 12]], "rectangle"),
        shape("sign", [[20, 5], [23, 5]], "circle"),
        shape("pole", [[-1, 0], [2, 3]], "mask", mask=base64.b64encode(stream.getvalue()).decode()),
        shape("lane", [[0, 0], [29, 19]], "line"),
        shape("zebra", [[26, 0], [29, 2], [27, 4], [24, 2]], "rotation", direction=0.6),
    )
    dataset = open_dataset(f"labelme:{tmp_path}")
    assert dataset.classes.names == ("Road", "Car", "pole", "sign", "zebra")
    ids = dataset.split("train")[0].read()[1]
    assert (ids[12:15, 4:9] == 1).all()
    assert (ids[5, 17:24] == 3).all()
    assert (ids[2, 17], ids[9, 0]) == (255, 255)
    assert [ids[1, 0], ids[2, 1], ids[3, 2], ids[0, 0]] == [2, 2, 2, 255]
    assert [ids[2, 26], ids[0, 24], ids[4, 29]] == [4, 255, 255]


def test_labelme_labels_of_another_size_are_an_error_or_scaled(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    stream = io.BytesIO()
    Image.fromarray(np.full((5, 3), 255, np.uint8)).save(stream, "PNG")
    text = base64.b64encode(stream.getvalue()).decode()
    labelme(tmp_path, shape("pole", [[2, 5], [4, 9]], "mask", mask=text), imageHeight=10, imageWidth=15)
    with pytest.raises(DataError, match=r"a\.json: labelled at 15x10, but the picture is 30x20"):
        open_dataset(f"labelme:{tmp_path}").split("train")[0].read()
    ids = open_dataset(f"labelme:{tmp_path}?sizes=scale").split("train")[0].read_class_map()
    expected = np.full((20, 30), 255)
    expected[10:20, 4:10] = 0
    assert np.array_equal(ids, expected)


def test_labelme_pictures_and_splits(tmp_path: Path) -> None:
    for split in ("train", "val"):
        labelme(tmp_path / split, shape("a", [[0, 0], [5, 5], [0, 5]]), imagePath=f"..\\pictures\\{split}.png")
        write_picture(tmp_path / "pictures" / f"{split}.png")
    dataset = open_dataset(f"labelme:{tmp_path}")
    assert dataset.splits == ("train", "val")
    dataset.split("val")[0].read()
    write_picture(tmp_path / "secret.png")
    labelme(tmp_path / "x", shape("a", [[0, 0]]), imagePath="../secret.png")
    with pytest.raises(DataError, match="no image"):
        open_dataset(f"labelme:{tmp_path / 'x'}").split("train")


def test_a_picture_inside_the_labelme_file_is_used_where_there_is_no_other(tmp_path: Path) -> None:
    """It lies on its side in the file, as cameras write it, and was labelled upright."""
    lying = Image.fromarray(np.arange(20 * 30 * 3, dtype=np.uint32).astype(np.uint8).reshape(30, 20, 3))
    exif = Image.Exif()
    exif[274] = 6
    stream = io.BytesIO()
    lying.save(stream, "PNG", exif=exif)
    text = base64.b64encode(stream.getvalue()).decode()
    path = labelme(
        tmp_path, shape("road", [[0, 10], [29, 10], [29, 19], [0, 19]]), imagePath="gone.png", imageData=text
    )
    image, ids = open_dataset(f"labelme:{tmp_path}").split("train")[0].read()
    assert np.array_equal(image[..., ::-1], np.rot90(np.asarray(lying), -1))
    assert (ids[10:] == 0).all()
    assert (ids[:10] == 255).all()
    write_picture(tmp_path / "gone.png")  # the file goes first
    other = open_dataset(f"labelme:{tmp_path}").split("train")[0].read_image()
    assert not np.array_equal(other, image)
    (tmp_path / "gone.png").unlink()
    for broken, expected in (
        (text[:-7] + "!", "imageData: "),
        (text[:200], r"imageData: damaged \(cut short"),
        (7, "int"),
    ):
        labelme(tmp_path, imageData=broken)
        sample = open_dataset(f"labelme:{tmp_path}?names=road").split("train")[0]
        with pytest.raises(DataError, match=expected) as caught:
            sample.read()
        assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (shape("a", [[1, 2], [float("nan"), 3]]), r"shape 1 \(a\): coordinate nan"),
        (shape("a", [[1, 2], [3]]), "expected \\[x, y\\]"),
        (shape("a", [[1, 2]], "polygn"), "did you mean polygon"),
        (shape("a", [[1, 2]], "circle"), "circle of 1 points"),
        (shape("a", [[1, 2]], "mask", mask="////"), "PNG in base64"),
        ({"points": []}, "'label' is missing"),
    ],
)
def test_a_bad_labelme_shape_is_named(tmp_path: Path, entry: Any, expected: str) -> None:
    path = labelme(tmp_path, entry)
    with pytest.raises(DataError, match=expected) as caught:
        read_labelme(path)
    assert str(caught.value).startswith(f"{path}: shape 1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("{", "line 1: "), ("[]", "a list is outermost"), ("[" * 100_000, "expected"), ("\xff", "UTF-8")],
)
def test_a_file_that_is_no_labelme_json(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=rf"a\.json: .*{expected}"):
        read_labelme(path)


@given(JSON_VALUES)
@settings(max_examples=100, deadline=None)
def test_any_labelme_json_is_read_or_one_line(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    for text in (
        json.dumps(value),
        json.dumps({"shapes": value, "imageHeight": value}),
        json.dumps({"shapes": [shape("a", value)]}),
        json.dumps({"shapes": [shape("a", [[0, value]], "circle")]}),
    ):
        path.write_text(text)
        message = str(path)
        try:
            read_labelme(path)
        except DataError as error:
            message = str(error)
        assert message.startswith(str(path))
        assert "\n" not in message
