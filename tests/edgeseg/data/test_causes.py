"""What is wrong is said, not what follows from it: another encoding, another tool's file, turned boxes, only lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgeseg.core.errors import DataError
from edgeseg.data.argument import open_dataset
from tests.helpers.cvat import cvat, image, shape, write_cvat
from tests.helpers.data import voc, voc_polygon, write_picture

ROAD = {"label": "road", "points": [[0, 10], [30, 10], [30, 20]], "shape_type": "polygon"}
CVAT = (
    '<?xml version="1.0"?><annotations><version>1.1</version><meta/><image id="0" name="a.png" width="30" height="20">'
    '<polygon label="road" points="0,4;9,4;9,8" z_order="0"/></image></annotations>'
)


def labelme(root: Path, *shapes: dict[str, Any], encoding: str = "utf-8") -> str:
    for name in ("a1", "b1", "c1"):
        write_picture(root / f"{name}.png")
        document = {"version": "5.4.1", "shapes": shapes, "imagePath": f"{name}.png", "imageData": None}
        (root / f"{name}.json").write_bytes(json.dumps(document, ensure_ascii=False).encode(encoding))
    return f"labelme:{root}"


def voc_files(root: Path, text: str | bytes) -> str:
    write_picture(root / "a.png")
    (root / "a.xml").write_bytes(text.encode() if isinstance(text, str) else text)
    return f"voc-xml:{root}"


@pytest.mark.parametrize(
    ("encoding", "label", "reading"),
    [
        ("gbk", "道路", "as GBK it reads '道路'"),
        ("cp1252", "Straße", "as Windows-1252 it reads 'Straße'"),
        ("utf-16", "road", "is UTF-16, not UTF-8"),
    ],
)
def test_a_file_in_another_encoding(tmp_path: Path, encoding: str, label: str, reading: str) -> None:
    argument = labelme(tmp_path, {**ROAD, "label": label}, encoding=encoding)
    with pytest.raises(
        DataError, match=rf"no class found, for 3 of 3 file\(s\) cannot be read: .*a1\.json: .*{reading}.*save it"
    ):
        open_dataset(argument)


def test_a_class_list_in_another_encoding(tmp_path: Path) -> None:
    write_picture(tmp_path / "images" / "a.png")
    (tmp_path / "classes.txt").write_bytes("道路 1 2 3\n天空 4 5 6\n".encode("gbk"))
    with pytest.raises(DataError, match=r"classes\.txt: byte 0 is not UTF-8 \(as GBK it reads '道路'\)"):
        open_dataset(f"folder:{tmp_path}")


def test_xml_in_another_encoding(tmp_path: Path) -> None:
    text = voc(voc_polygon("道路", 1, 1, 9, 1, 9, 9)).encode("gbk")
    with pytest.raises(DataError, match=r"a\.xml: byte 52 .*as GBK it reads '道路'.*name its encoding"):
        open_dataset(voc_files(tmp_path, text))


def test_a_file_of_cvat_given_to_voc_xml(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"a\.xml: CVAT's own XML; expected <annotation> of PASCAL VOC: read it as cvat:PATH"
    ):
        open_dataset(voc_files(tmp_path, CVAT))


@pytest.mark.parametrize("kind", ["polyline", "points"])
def test_a_task_of_cvat_with_lines_or_points_alone(tmp_path: Path, kind: str) -> None:
    text = cvat(image("a.png", shape(kind, "lane", points="1,1;2,2")), labels=(("lane", "#ffffff", kind),))
    draw = ", or have lines drawn: line_width=3" if kind == "polyline" else ""
    with pytest.raises(DataError, match=rf"nothing but 1 {kind} is labelled, .*label areas{draw}$"):
        open_dataset(f"cvat:{write_cvat(tmp_path, text)}")


def test_cvat_in_another_encoding(tmp_path: Path) -> None:
    write_cvat(tmp_path, "")
    text = "<annotations><image name='道路.png' width='30' height='20'/></annotations>"
    (tmp_path / "annotations.xml").write_bytes(text.encode("gbk"))
    with pytest.raises(DataError, match=r"annotations\.xml: byte 26 .*as GBK it reads '道路'.*name its encoding"):
        open_dataset(f"cvat:{tmp_path}")


def test_turned_boxes_of_rolabelimg(tmp_path: Path) -> None:
    box = "<object><name>car</name><robndbox><cx>5</cx><cy>5</cy><w>4</w><h>2</h><angle>0.3</angle></robndbox></object>"
    with pytest.raises(DataError, match=r"object 1 \(car\) is a turned box <robndbox>; expected <polygon> or <bndbox>"):
        open_dataset(voc_files(tmp_path, voc(box)))


def test_turned_boxes_of_labelme_are_polygons(tmp_path: Path) -> None:
    """X-AnyLabeling's shapes of the type `rotation` have their four corners, turned already."""
    turned = {**ROAD, "shape_type": "rotation", "points": [[0, 10], [29, 10], [29, 19], [0, 19]], "direction": 0.3}
    class_map = open_dataset(labelme(tmp_path, turned)).split("train")[0].read()[1]
    assert class_map[12, 5] == 0
    assert class_map[5, 5] == 255


def test_an_unknown_shape_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no class found, for 3 of 3.*shape 1 \(road\): shape type 'cuboid'"):
        open_dataset(labelme(tmp_path, {**ROAD, "shape_type": "cuboid"}))


def test_only_lines(tmp_path: Path) -> None:
    line = {**ROAD, "shape_type": "linestrip"}
    argument = labelme(tmp_path, line, line, {**ROAD, "shape_type": "point"})
    with pytest.raises(
        DataError,
        match=r"nothing but 6 linestrip, 3 point is labelled, which cover no pixels; label areas, or .*: line_width=3$",
    ):
        open_dataset(argument)
    assert open_dataset(f"{argument}?line_width=3").classes.names == ("Road",)


def test_only_points(tmp_path: Path) -> None:
    """No option draws them, and none is named."""
    argument = labelme(tmp_path, {**ROAD, "shape_type": "point"}, {**ROAD, "shape_type": "line", "label": "ignore"})
    with pytest.raises(DataError, match=r"nothing but 3 point is labelled, which cover no pixels; label areas$"):
        open_dataset(f"{argument}?line_width=3")


def test_only_ignored_areas(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no class found in 3 file\(s\), for no object is labelled with one"):
        open_dataset(labelme(tmp_path, {**ROAD, "label": "ignore"}))


def test_nothing_labelled(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no class found in 3 file\(s\), for no object is labelled"):
        open_dataset(labelme(tmp_path))


def test_coco_and_labelme_are_not_taken_for_each_other(tmp_path: Path) -> None:
    labelme(tmp_path, ROAD)
    with pytest.raises(DataError, match=r"a1\.json: LabelMe JSON; expected COCO JSON.*: read it as labelme:PATH"):
        open_dataset(f"coco:{tmp_path}")
    for path in tmp_path.glob("*.json"):
        path.write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    with pytest.raises(DataError, match=r"COCO JSON; expected LabelMe JSON.*: read it as coco:PATH"):
        open_dataset(f"labelme:{tmp_path}")
