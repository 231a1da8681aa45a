"""Nothing is left out without a count: by class and kind, with the option that takes it in, and it is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from edgeseg.commands.main import cli
from edgeseg.core.errors import UsageError
from edgeseg.data.argument import open_dataset
from edgeseg.data.base import Dataset, Mask, Sample
from edgeseg.data.reading.cityscapes_labels import TABLE
from edgeseg.data.remarks import Remark
from edgeseg.data.tools.check import check_dataset
from tests.helpers.cvat import cvat, image, polygon, shape, write_cvat
from tests.helpers.data import voc, voc_polygon, write_mask, write_picture
from tests.helpers.training import TWO_CLASSES, ArraySample

NAMES = ("a1", "b1", "c1")
AREA = [[0, 10], [30, 10], [30, 20], [0, 20]]


def labelme(root: Path, *shapes: tuple[str, list[list[int]], str]) -> str:
    """Write three pictures with the same shapes: label, points, type."""
    listed = [{"label": label, "points": points, "shape_type": kind} for label, points, kind in shapes]
    for name in NAMES:
        write_picture(root / f"{name}.png")
        (root / f"{name}.json").write_text(json.dumps({"shapes": listed, "imagePath": f"{name}.png"}))
    return f"labelme:{root}"


def coco(root: Path, *annotations: dict[str, Any]) -> str:
    """Write three pictures with the same annotations."""
    images = [{"id": n, "file_name": f"{name}.png", "width": 30, "height": 20} for n, name in enumerate(NAMES)]
    for each in images:
        write_picture(root / str(each["file_name"]))
    notes = [{"image_id": n, "category_id": 1, "bbox": [0, 0, 3, 3], **each} for n in range(3) for each in annotations]
    categories = [{"id": 1, "name": "car"}, {"id": 2, "name": "hedge"}]
    (root / "labels.json").write_text(json.dumps({"images": images, "annotations": notes, "categories": categories}))
    return f"coco:{root / 'labels.json'}"


def voc_files(root: Path, *objects: str) -> str:
    for name in NAMES:
        write_picture(root / f"{name}.png")
        (root / f"{name}.xml").write_text(voc(*objects, filename=f"{name}.png"))
    return f"voc-xml:{root}"


def checked(argument: str) -> tuple[dict[tuple[str, str], int], list[str], list[str]]:
    """Return what a check says is left out, by class and kind, its warnings of that, and its notes."""
    report = check_dataset(open_dataset(argument))
    assert report.errors == [] or all("pixel for pixel" in line for line in report.errors)
    counts = {(each["class"], each["what"]): each["count"] for each in report.left_out}
    return counts, [line for line in report.warnings if "left out" in line], report.notes


def test_crowds_are_counted_by_class_and_the_option_takes_them_in(tmp_path: Path) -> None:
    argument = coco(tmp_path, {}, {"iscrowd": 1, "category_id": 2}, {"iscrowd": 1, "category_id": 2}, {"iscrowd": 1})
    counts, warnings, _ = checked(argument)
    assert counts == {("hedge", "crowds (iscrowd)"): 6, ("car", "crowds (iscrowd)"): 3}
    assert warnings == [
        "left out: crowds (iscrowd): 9 (hedge 6, car 3) in 3 pictures: they are ignored where nothing else is "
        "labelled; take them in by crowd=class or say leave_out=crowd if that is meant"
    ]
    assert checked(f"{argument}?crowd=class") == ({}, [], [])


def test_what_lies_outside_or_covers_no_pixel_is_counted_once_an_object(tmp_path: Path) -> None:
    outside = {"segmentation": [[40, 1, 50, 1, 50, 9], [-9, 1, -5, 1, -5, 9]]}
    partly = {"segmentation": [[40, 1, 50, 1, 50, 9], [1, 1, 9, 1, 9, 9]]}
    thin = {"segmentation": [[5.1, 0, 5.3, 0, 5.3, 20, 5.1, 20]], "category_id": 2}
    point = {"segmentation": [], "bbox": [3, 3, 0, 0]}
    counts, warnings, _ = checked(coco(tmp_path, outside, partly, thin, point, {"segmentation": [[]]}))
    assert counts == {
        ("car", "objects outside the picture"): 3,
        ("hedge", "objects that cover no pixel"): 3,
        ("car", "objects that cover no pixel"): 3,
    }
    assert any("were they drawn at another size?" in line for line in warnings)


@pytest.mark.parametrize("edges", ["inclusive", "pixel"])
def test_an_outline_that_only_surrounds_the_picture_is_no_object_outside(tmp_path: Path, edges: str) -> None:
    """No corner lies in the picture: what counts is whether a pixel is filled."""
    around = voc_polygon("Road", -50, -50, 90, -50, 90, 90, -50, 90)
    beside = voc_polygon("Tree", 40, -60, 90, -60, 90, 90)  # a corner away, its box overlaps the picture's
    corner = voc_polygon("Sky", 28, -40, 80, -40, 80, 30)
    counts, _, _ = checked(voc_files(tmp_path, around, beside, corner) + f"?edges={edges}")
    drawn = open_dataset(f"voc-xml:{tmp_path}?edges={edges}&val=0").split("train")[0].read()[1]
    present = {open_dataset(f"voc-xml:{tmp_path}").classes.names[index] for index in np.unique(drawn)}
    assert {name for name, _ in counts} == {"Road", "Tree", "Sky"} - present
    assert "Road" in present


def test_lines_and_points_of_labelme(tmp_path: Path) -> None:
    line = [[5, 10], [6, 15], [7, 20]]
    argument = labelme(
        tmp_path,
        ("Road", AREA, "polygon"),
        ("lane", line, "linestrip"),
        ("lane", line[:2], "line"),
        ("kerb", line, "linestrip"),
        ("sign", line[:1], "point"),
        ("sign", line, "points"),
    )
    counts, warnings, _ = checked(argument)
    assert counts == {
        ("lane", "shapes of type linestrip"): 3,
        ("lane", "shapes of type line"): 3,
        ("kerb", "shapes of type linestrip"): 3,
        ("sign", "shapes of type point"): 3,
        ("sign", "shapes of type points"): 3,
    }
    strips = next(line for line in warnings if "linestrip" in line)
    assert "6 (lane 3, kerb 3) in 3 pictures" in strips
    assert "take them in by line_width=3 or say leave_out=linestrip" in strips
    counts, warnings, notes = checked(f"{argument}?line_width=3&leave_out=point,points")
    assert set(counts) == {("sign", "shapes of type point"), ("sign", "shapes of type points")}
    assert (warnings, len(notes)) == ([], 2)
    with pytest.raises(UsageError, match=r"leave_out=linestrips \(did you mean linestrip\?\); expected some of"):
        open_dataset(f"{argument}?leave_out=linestrips")


def test_names_that_mean_something_in_labelme(tmp_path: Path) -> None:
    """As labelme2voc writes masks: __ignore__ is void, _background_ is what pixels under no shape are."""
    shapes = (
        ("Road", AREA, "polygon"),
        ("__ignore__", [[0, 0], [10, 0], [10, 3], [0, 3]], "polygon"),
        ("_background_", [[15, 12], [20, 12], [20, 16], [15, 16]], "polygon"),
    )
    argument = labelme(tmp_path, *shapes)
    dataset = open_dataset(f"{argument}?val=0")
    assert dataset.classes.names == ("Road", "_background_")
    ids = dataset.split("train")[0].read()[1]
    assert [ids[1, 5], ids[15, 5], ids[14, 17], ids[6, 20]] == [255, 0, 1, 1]
    assert [line.partition(":")[0] for line in dataset.remarks.notes()] == ["1 in 1 picture"]

    for option, names in (("unlabelled=ignore", ("Road",)), ("names=__ignore__,Road", ("Road",))):
        ignoring = open_dataset(f"{argument}?{option}&val=0")
        assert ignoring.classes.names == names
        if "unlabelled" in option:
            assert ignoring.split("train")[0].read()[1][14, 17] == 255
            assert ignoring.remarks.left_out()[0]["option"] == "unlabelled=_background_"
    other = open_dataset(f"{argument}?unlabelled=rest&val=0")
    assert other.classes.names == ("Road", "rest")
    assert other.split("train")[0].read()[1][14, 17] == 1
    listed = open_dataset(f"{argument}?names=_background_,Road&val=0")
    assert listed.classes.names == ("_background_", "Road")
    assert listed.split("train")[0].read()[1][6, 20] == 0


def test_a_label_list_of_labelme_does_not_shift_ids(tmp_path: Path) -> None:
    """labelme2voc numbers __ignore__ as -1."""
    for name in NAMES:
        write_picture(tmp_path / "images" / f"{name}.png")
        write_mask(tmp_path / "masks" / f"{name}.png", np.array([[0, 1, 2, 255]], np.uint8).repeat(20, 0).repeat(8, 1))
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\nroad\ncar\n")
    for path in (tmp_path / "images").iterdir():
        write_picture(path, 20, 32)
    dataset = open_dataset(f"folder:{tmp_path}?val=0")
    assert dataset.classes.names == ("_background_", "road", "car")
    assert dataset.split("train")[0].read()[1][0, ::8].tolist() == [0, 1, 2, 255]
    (tmp_path / "labels.txt").write_text("id,name\n0,_background_\n255,__ignore__\n1,road\n2,car\n")
    assert open_dataset(f"folder:{tmp_path}").classes == dataset.classes


def test_what_voc_xml_leaves_out(tmp_path: Path) -> None:
    road = voc_polygon("Road", 0, 10, 29, 10, 29, 19)
    deleted = "<object><name>Tree</name><deleted>1</deleted></object>"
    part = "<part><name>wheel</name><bndbox/></part>"
    both = road.replace("</object>", f"<polygon/>{part}</object>")
    counts, warnings, notes = checked(voc_files(tmp_path, both, deleted))
    assert counts == {
        ("Road", "empty polygons"): 3,
        ("Road", "<part>s of objects"): 3,
        ("Tree", "objects marked <deleted>"): 3,
    }
    assert len(warnings) == 1
    assert "empty polygons: 3 (Road 3)" in warnings[0]
    assert len(notes) == 2


def test_what_cvat_leaves_out_may_be_meant(tmp_path: Path) -> None:
    cuboid = shape("cuboid", "car", xtl1="1")
    text = cvat(*(image(f"{name}.png", polygon("road", "0,4;30,4;30,20"), cuboid) for name in NAMES))
    root = write_cvat(tmp_path, text, *(f"{name}.png" for name in NAMES))
    assert checked(f"cvat:{root}")[0] == {("car", "<cuboid>s"): 3}
    assert len(checked(f"cvat:{root}")[1]) == 1
    assert checked(f"cvat:{root}?leave_out=cuboid")[1] == []


@pytest.mark.parametrize("kind", ["voc-xml", "labelme", "cvat"])
def test_objects_outside_the_picture_are_counted_in_all_formats_that_draw(tmp_path: Path, kind: str) -> None:
    if kind == "voc-xml":
        argument = voc_files(
            tmp_path, voc_polygon("Road", 0, 10, 29, 10, 29, 19), voc_polygon("Tree", 40, 1, 50, 9, 40, 9)
        )
    elif kind == "labelme":
        away = [[40, 1], [50, 9], [40, 9]]
        argument = labelme(
            tmp_path, ("Road", AREA, "polygon"), ("Tree", away, "polygon"), ("Tree", away[:2], "rectangle")
        )
    else:
        mask = shape("mask", "car", rle="0, 4", left=40, top=2, width=2, height=2)
        text = cvat(*(image(f"{name}.png", polygon("road", "0,4;30,4;30,20"), mask) for name in NAMES))
        argument = f"cvat:{write_cvat(tmp_path, text, *(f'{name}.png' for name in NAMES))}"
    expected = {"voc-xml": ("Tree", 3), "labelme": ("Tree", 6), "cvat": ("car", 3)}[kind]
    assert checked(argument)[0] == {(expected[0], "objects outside the picture"): expected[1]}
    assert checked(f"{argument}?leave_out=outside")[1] == []


@pytest.mark.parametrize("kind", ["labelIds", "color", "kitti"])
def test_labels_that_cityscapes_and_kitti_do_not_evaluate(tmp_path: Path, kind: str) -> None:
    ids = np.arange(len(TABLE), dtype=np.uint8)[None].repeat(2, axis=0)
    colours = np.array([label.colour for label in TABLE], np.uint8)
    for city in NAMES:
        picture = tmp_path / "leftImg8bit" / "train" / city / f"{city}_leftImg8bit.png"
        mask = tmp_path / "gtFine" / "train" / city / f"{city}_gtFine_{kind}.png"
        if kind == "kitti":
            picture, mask = (tmp_path / folder / f"{city}.png" for folder in ("image_2", "semantic"))
        write_picture(picture, 2, len(TABLE))
        write_mask(mask, colours[ids] if kind == "color" else ids)
    data = f"{'kitti-semantic' if kind == 'kitti' else 'cityscapes'}:{tmp_path}"
    counts, warnings, notes = checked(f"{data}?labels=train")
    assert counts["parking", "pixels"] == 6
    assert counts["unlabeled" if kind == "color" else "ego vehicle", "pixels"] == (30 if kind == "color" else 6)
    assert ("road", "pixels") not in counts
    assert (warnings, len(notes)) == ([], 1)
    assert "take them in by labels=all or labels=founding" in notes[0]
    assert checked(f"{data}?labels={'colours' if kind == 'color' else 'all'}")[0] == {}


@pytest.mark.parametrize("kind", ["voc-masks", "comma10k", "kitti-road"])
def test_pictures_without_a_mask_are_counted_where_they_are_left_out(tmp_path: Path, kind: str) -> None:
    images, masks, name, option = {
        "voc-masks": ("JPEGImages", "SegmentationClass", "a{}_1", ""),
        "comma10k": ("imgs2", "masks2", "0000{}_a", "images=imgs2&val=0"),
        "kitti-road": ("image_2", "gt_image_2", "um_00000{}", "truth=lane&val=0"),
    }[kind]
    for number in range(4):
        write_picture(tmp_path / images / f"{name.format(number)}.png")
    for number in range(2):
        mask = name.format(number).replace("um_", "um_lane_")
        write_mask(
            tmp_path / masks / f"{mask}.png", np.zeros((20, 30, 3) if kind != "voc-masks" else (20, 30), np.uint8)
        )
    dataset = open_dataset(f"{kind}:{tmp_path}?{option}")
    assert dataset.remarks.notes() == ["left out: pictures without a mask: 2"]
    assert sum(len(dataset.split(each)) for each in dataset.splits) == 2


def test_values_of_masks_that_stand_for_a_class(tmp_path: Path) -> None:
    """Masks of 0 and 255, as many tools write two classes."""
    for name in NAMES:
        write_picture(tmp_path / "images" / f"{name}.png")
        write_mask(tmp_path / "masks" / f"{name}.png", np.array([[0, 255, 7]], np.uint8).repeat(20, 0).repeat(10, 1))
    (tmp_path / "classes.txt").write_text("other\nroad\n")
    dataset = open_dataset(f"folder:{tmp_path}?values=255:road,7:ignore&val=0")
    assert dataset.split("train")[0].read()[1][0, ::10].tolist() == [0, 1, 255]
    for values, expected in (("255:raod", "did you mean road"), ("x:road", "ID:CLASS"), ("255", "ID:CLASS")):
        with pytest.raises(UsageError, match=expected):
            open_dataset(f"folder:{tmp_path}?values={values}")
    (tmp_path / "classes.txt").write_text("other 0 0 0\nroad 9 9 9\n")
    with pytest.raises(UsageError, match="the masks are colours"):
        open_dataset(f"folder:{tmp_path}?values=255:road&encoding=colours")


def command(*arguments: str) -> Any:
    """Run a subcommand of `edgeseg data`; its exit code is `return_value`."""
    return CliRunner().invoke(cli, ["data", *arguments], standalone_mode=False)


def twice_read(dataset: Dataset) -> list[str]:
    for _ in range(2):
        for sample in dataset.split("train"):
            sample.read()
            sample.read_class_map()
    return dataset.remarks.warnings()


def test_it_counts_once_however_often_and_through_whatever_a_sample_is_read(tmp_path: Path) -> None:
    argument = coco(tmp_path, {}, {"iscrowd": 1}, {"segmentation": [[40, 1, 50, 1, 50, 9]]})
    write_mask(tmp_path / "bonnet.png", np.zeros((20, 30), np.uint8))
    options = f"val=0&ignore_mask={tmp_path / 'bonnet.png'}&classes=vehicle=car;rest=*"
    warnings = twice_read(open_dataset(f"{argument}?{options}"))
    assert [line.partition(" (car")[0] for line in warnings] == [
        "left out: crowds (iscrowd): 3",
        "left out: objects outside the picture: 3",
    ]


def test_the_commands_say_it_and_a_pack_says_it_again(tmp_path: Path) -> None:
    sky = [[0, 0], [30, 0], [30, 5], [0, 5]]
    lane = [[5, 1], [6, 9]]
    shapes = (("Road", AREA, "polygon"), ("Sky", sky, "polygon"), ("lane", lane, "line"))
    argument = labelme(tmp_path / "data", *shapes)
    for index, name in enumerate(NAMES):
        write_picture(tmp_path / "data" / f"{name}.png", 20, 30 + index)
    run = command("check", argument, "--out", str(tmp_path / "check"))
    assert run.return_value == 0, run.output
    assert "warning: left out: shapes of type line: 3 (lane 3) in 3 pictures" in run.output
    document = json.loads((tmp_path / "check" / "check.json").read_text())
    assert document["left_out"] == [
        {
            "class": "lane",
            "what": "shapes of type line",
            "count": 3,
            "why": "they cover no pixels",
            "option": "line_width=3",
        }
    ]
    run = command("check", argument, "--strict")
    assert run.return_value == 3
    assert "error: left out: shapes of type line" in run.output
    assert "NOT GOOD" in run.output
    assert command("check", f"{argument}?leave_out=line", "--strict").return_value == 0

    for name in ("masks", "pack"):
        run = command(name, argument, "--out", str(tmp_path / name))
        assert run.exit_code == 0, run.output
        assert "warning: left out: shapes of type line: 3" in run.stderr
    warnings = check_dataset(open_dataset(f"tfrecord:{tmp_path / 'pack'}")).warnings
    assert any(line.startswith("when it was packed: left out: shapes of type line: 3") for line in warnings)


class Lanes(ArraySample):
    """A sample of the user's own class, as in docs/data.md."""

    def _class_map(self) -> Mask:
        self.tell(Remark("lanes are not drawn"), 3)
        return super()._class_map()


class OwnData(Dataset):
    def __init__(self, argument: str) -> None:
        self.classes, self.splits = TWO_CLASSES, ("train",)

    def _samples(self, split: str) -> list[Sample]:
        pictures = [np.full((4, 4, 3), index, np.uint8) for index in range(2)]
        return [Lanes(each, np.eye(4, dtype=np.uint8), name=f"d{each[0, 0, 0]}") for each in pictures]


def test_a_data_set_of_the_users_own_tells_what_it_leaves_out() -> None:
    assert check_dataset(OwnData("")).warnings == ["6 in 2 pictures: lanes are not drawn"]
