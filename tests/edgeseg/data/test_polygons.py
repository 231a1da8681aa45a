"""Figures are filled to the pixel as labelling tools fill them, and the options that say otherwise."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgeseg.core.errors import DataError, UsageError
from edgeseg.core.geometry import Size
from edgeseg.data.argument import open_dataset
from edgeseg.data.reading.polygons import LINE, OPENCV, PILLOW, PIXEL, Canvas, Figure
from edgeseg.data.tools.check import check_dataset
from edgeseg.data.tools.pack import write_pack
from edgeseg.data.tools.pack_settings import PackSettings
from tests.helpers.data import voc, voc_polygon, write_picture
from tests.helpers.figures import golden, tiled
from tests.labelling_tools import cvat_figures, filled, labelme_figures

POLE = [[5, 0], [7, 0], [7, 40], [5, 40]]


def labelled(root: Path, kind: str) -> str:
    """Write one picture with a pole from x 5 to 7 in a format; return the data argument."""
    write_picture(root / "a.png", 40, 40)
    if kind == "coco":
        entry: dict[str, Any] = {"image_id": 1, "category_id": 1, "segmentation": [np.ravel(POLE).tolist()]}
        images = [{"id": 1, "file_name": "a.png", "height": 40, "width": 40}]
        document = {"images": images, "annotations": [entry], "categories": [{"id": 1, "name": "pole"}]}
        (root / "labels.json").write_text(json.dumps(document))
        return f"coco:{root / 'labels.json'}"
    if kind == "labelme":
        shape = {"label": "pole", "shape_type": "polygon", "points": POLE}
        (root / "a.json").write_text(json.dumps({"shapes": [shape], "imageHeight": 40, "imageWidth": 40}))
    else:
        (root / "a.xml").write_text(voc(voc_polygon("pole", *np.ravel(POLE).tolist())))
    return f"{kind}:{root}"


def pixels(argument: str) -> int:
    return int((open_dataset(argument).split("train")[0].read_class_map() == 0).sum())


@pytest.mark.parametrize(("kind", "own"), [("coco", 80), ("labelme", 120), ("voc-xml", 120)])
def test_a_pole_is_as_wide_as_in_its_own_tool_or_as_the_option_says(tmp_path: Path, kind: str, own: int) -> None:
    argument = labelled(tmp_path, kind)
    assert pixels(argument) == own
    assert (pixels(f"{argument}?edges=pixel"), pixels(f"{argument}?edges=inclusive")) == (80, 120)
    with pytest.raises(UsageError, match=r"edges=pixels \(did you mean pixel\?\); expected pixel or inclusive"):
        open_dataset(f"{argument}?edges=pixels")


def test_figures_are_filled_as_labelme_fills_them() -> None:
    """Polygons, rectangles, turned ones, circles and lines, also outside the picture: LabelMe 6.3.1's shape_to_mask."""
    assert np.array_equal(tiled(filled(labelme_figures(), PILLOW)), golden("labelme.png"))


def test_figures_are_filled_as_datumaro_fills_those_of_cvat() -> None:
    """Polygons, boxes and ellipses: datumaro 1.13.12's PolygonsToMasks and BoxesToMasks."""
    assert np.array_equal(tiled(filled(cvat_figures(), PIXEL)), golden("datumaro.png"))


@pytest.mark.parametrize("rule", [PIXEL, OPENCV, PILLOW])
def test_where_an_outline_crosses_itself_even_is_outside(rule: str) -> None:
    star = np.array([(50 + 45 * np.sin(turn), 50 - 45 * np.cos(turn)) for turn in np.arange(5) * 0.8 * np.pi])
    mask = drawn(Figure(star), Size(100, 100), rule)
    assert not mask[50, 50]
    assert mask[15, 50]


def drawn(figure: Figure, size: Size, rule: str) -> np.ndarray:
    canvas = Canvas(size, 0)
    canvas.fill(figure, 1, rule)
    return canvas.class_map > 0


@pytest.mark.parametrize("rule", [PIXEL, OPENCV, PILLOW])
def test_corners_far_outside_and_very_many_of_them(rule: str) -> None:
    for far in (100.0, 1e5, 1e9, 1e300):
        triangle = Figure(np.array([[0.0, 0.0], [far, far], [0.0, far]]))
        assert (drawn(triangle, Size(40, 60), rule) != np.tri(40, 60, dtype=bool)).sum() <= 40
        assert not drawn(Figure(-1 - triangle.points), Size(40, 60), rule).any()
    zigzag = np.column_stack([np.arange(100_000) % 2 * 1e6 - 5e5, np.linspace(0, 40, 100_000)])
    assert drawn(Figure(zigzag), Size(40, 60), rule).shape == (40, 60)
    assert drawn(Figure(zigzag[:3], LINE, 3), Size(40, 60), rule).any()


def test_polygons_without_area(tmp_path: Path) -> None:
    points = np.array([[3.0, 4.0], [9.0, 8.0]])
    for corners in (1, 2):
        assert not drawn(Figure(points[:corners]), Size(20, 20), PIXEL).any()
        assert drawn(Figure(points[:corners]), Size(20, 20), OPENCV)[4, 3]
        assert drawn(Figure(points[:corners]), Size(20, 20), PILLOW)[4, 3]


def test_coordinates_of_labelbox_are_cut_to_whole_pixels(tmp_path: Path) -> None:
    """As its SDK does (Polygon.draw): 7.9 lies in the pixel 7."""
    write_picture(tmp_path / "a.png")
    (tmp_path / "a.xml").write_text(voc(voc_polygon("Road", 2.9, 3.9, 7.9, 3.9, 7.9, 5.9, 2.9, 5.9)))
    ids = open_dataset(f"voc-xml:{tmp_path}").split("train")[0].read_class_map()
    assert np.argwhere(ids == 0).min(axis=0).tolist() == [3, 2]
    assert np.argwhere(ids == 0).max(axis=0).tolist() == [5, 7]


def test_boxes_of_pascal_voc_may_count_from_1_and_the_check_says_so(tmp_path: Path) -> None:
    for stem, right in (("a1", 30), ("b1", 30), ("c1", 29)):
        write_picture(tmp_path / f"{stem}.png")
        corners = f"<xmin>21</xmin><ymin>1</ymin><xmax>{right}</xmax><ymax>4</ymax>"
        text = voc(f"<object><name>car</name><bndbox>{corners}</bndbox></object>", filename=f"{stem}.png")
        (tmp_path / f"{stem}.xml").write_text(text)
    argument = f"voc-xml:{tmp_path}?val=0"
    said = [line for line in check_dataset(open_dataset(argument)).warnings if "first_pixel" in line]
    assert len(said) == 1
    assert said[0].startswith("2 ")
    assert not any("first_pixel" in line for line in check_dataset(open_dataset(f"{argument}&first_pixel=1")).warnings)
    ids = open_dataset(f"{argument}&first_pixel=1").split("train")[0].read_class_map()
    assert (ids[:4, 20:30] == 0).all()
    assert (ids == 0).sum() == 40
    with pytest.raises(UsageError, match="first_pixel=2; expected 0 or 1"):
        open_dataset(f"{argument}&first_pixel=2")


@pytest.mark.usefixtures("patience")
def test_a_pack_says_which_rule_made_its_masks(tmp_path: Path) -> None:
    argument = labelled(tmp_path / "data", "coco")
    for option, rule in (("", PIXEL), ("?classes=pole;rest=*&edges=inclusive", OPENCV)):
        out = tmp_path / f"pack{len(option)}"
        write_pack(open_dataset(argument + option), out, PackSettings(), "x")
        assert json.loads((out / "dataset.json").read_text())["edges"] == rule
        again = tmp_path / f"again{len(option)}"
        write_pack(open_dataset(f"tfrecord:{out}"), again, PackSettings(), "x")
        assert json.loads((again / "dataset.json").read_text())["edges"] == rule
    write_pack(open_dataset("scenes:train=1,val=1,size=64x48"), tmp_path / "scenes", PackSettings(), "x")
    assert "edges" not in json.loads((tmp_path / "scenes" / "dataset.json").read_text())


def test_lines_of_labelme_get_a_width(tmp_path: Path) -> None:
    argument = labelled(tmp_path, "labelme")
    document = json.loads((tmp_path / "a.json").read_text())
    document["shapes"].append({"label": "lane", "shape_type": "linestrip", "points": [[20, 0], [20, 20], [20, 39]]})
    (tmp_path / "a.json").write_text(json.dumps(document))
    assert open_dataset(argument).classes.names == ("pole",)
    dataset = open_dataset(f"{argument}?line_width=3")
    assert dataset.classes.names == ("lane", "pole")
    assert (dataset.split("train")[0].read_class_map() == 0).sum() == 3 * 40
    with pytest.raises(UsageError, match="line_width=wide; expected pixels"):
        open_dataset(f"{argument}?line_width=wide")


@pytest.mark.parametrize(("last", "fits"), [([5, 6], True), ([5.7, 6.2], True), ([4, 6], False), ([6, 6], False)])
def test_a_mask_of_labelme_has_the_size_of_its_box(tmp_path: Path, last: list[float], fits: bool) -> None:
    argument = labelled(tmp_path, "labelme")
    stream = io.BytesIO()
    Image.fromarray(np.full((4, 4), 255, np.uint8)).save(stream, "PNG")
    text = base64.b64encode(stream.getvalue()).decode()
    shape = {"label": "car", "shape_type": "mask", "points": [[2, 3], last], "mask": text}
    (tmp_path / "a.json").write_text(json.dumps({"shapes": [shape], "imageHeight": 40, "imageWidth": 40}))
    if fits:
        assert pixels(argument) == 16
        return
    with pytest.raises(DataError, match=r"shape 1 \(car\): a mask of 4x4 in a box of [35]x4; expected one size"):
        open_dataset(f"{argument}?names=car").split("train")[0].read()


def test_the_first_colour_of_a_palette_mask_is_no_label(tmp_path: Path) -> None:
    argument = labelled(tmp_path, "labelme")
    stream = io.BytesIO()
    image = Image.new("P", (4, 4))
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.putpixel((1, 1), 1)
    image.save(stream, "PNG")
    text = base64.b64encode(stream.getvalue()).decode()
    shape = {"label": "car", "shape_type": "mask", "points": [[2, 3], [5, 6]], "mask": text}
    (tmp_path / "a.json").write_text(json.dumps({"shapes": [shape], "imageHeight": 40, "imageWidth": 40}))
    assert pixels(argument) == 1
