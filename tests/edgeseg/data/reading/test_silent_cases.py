"""Inputs on which labels were wrong in silence, each drawn small, from its file to what the check says of it.

Each stands for a kind of fault, which the tests that are named here hold in full.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgeseg.core.errors import DataError
from edgeseg.data.argument import open_dataset
from edgeseg.data.base import Mask
from edgeseg.data.tools.check import check_dataset
from edgeseg.data.tools.check_report import Report
from tests.helpers.cvat import cvat, image, polygon, shape, write_cvat
from tests.helpers.damage import by_opencv
from tests.helpers.data import write_picture

IDS = np.zeros((80, 120), np.uint8)
IDS[40:], IDS[40:, 80:90] = 1, 2
ROAD = {"label": "road", "points": [[0, 40], [120, 40], [120, 80], [0, 80]], "shape_type": "polygon"}


def checked(argument: str) -> tuple[Report, Mask]:
    """Return what the check says, and the first sample's labels where there is no error."""
    dataset = open_dataset(f"{argument}{'&' if '?' in argument else '?'}val=0")
    report = check_dataset(dataset)
    return report, np.zeros((0, 0), np.uint8) if report.errors else dataset.split("train")[0].read_class_map()


def folder(root: Path, mask: Mask, suffix: str, classes: str) -> str:
    write_picture(root / "images" / "0.png", 80, 120)
    (root / "masks").mkdir()
    (root / "masks" / f"0{suffix}").write_bytes(by_opencv(suffix, mask))
    (root / "classes.txt").write_text(classes)
    return f"folder:{root}"


@pytest.mark.parametrize(
    ("header", "row"),
    [
        *((each, "{0},{1},{2},{3}") for each in ("class,r,g,b", "label,r,g,b", "Label,Red,Green,Blue", "name,r,g,b,")),
        ('"name","r","g","b"', "{0},{1},{2},{3}"),
        ("r,g,b,name", "{1},{2},{3},{0}"),
        ("# label:color_rgb:parts:actions", "{0}:{1},{2},{3}::"),
    ],
)
def test_headers(tmp_path: Path, header: str, row: str) -> None:
    """See test_class_lists.py, also for lines that are quoted since they fit nothing."""
    rows = [row.format(*each) for each in (("sky", 0, 0, 0), ("road", 128, 64, 128), ("car", 0, 0, 142))]
    report, ids = checked(folder(tmp_path, IDS, ".png", "\n".join([header, *rows])))
    assert report.classes.names == ("sky", "road", "car")
    assert report.warnings == []
    assert np.array_equal(ids, IDS)


@pytest.mark.parametrize("option", ["", "?suffix=.jpg"])
def test_jpeg_masks(tmp_path: Path, option: str) -> None:
    """See test_lossy_masks.py."""
    report, _ = checked(folder(tmp_path, IDS, ".jpg", "sky\nroad\ncar\n") + option)
    assert len(report.errors) == 1
    assert "a lossy file (JPEG) holds no class ids" in report.errors[0]


def test_binary_0_255(tmp_path: Path) -> None:
    """See test_start_warnings.py for the training that says the same."""
    argument = folder(tmp_path, IDS.clip(0, 1) * 255, ".png", "other\nroad\n")
    report, _ = checked(argument)
    assert report.warnings[0] == "class road never occurs; label it or leave it out"
    assert "1 of 2 classes occurs, beside ignored pixels; 255 is never a class" in report.warnings[1]
    assert report.warnings[1].endswith("say values=255:road")
    report, ids = checked(f"{argument}?values=255:road")
    assert (report.warnings, int((ids == 1).sum())) == ([], 40 * 120)


def test_rgb_of_ids(tmp_path: Path) -> None:
    report, ids = checked(folder(tmp_path, np.dstack([IDS] * 3), ".png", "sky\nroad\ncar\n"))
    assert report.warnings == []
    assert np.array_equal(ids, IDS)


def test_damaged_and_deep(tmp_path: Path) -> None:
    """See test_damaged_pictures.py and test_deep_pictures.py, of the camera too in tests/runtime/sources/.

    OpenCV writes lossless WebP, of which most damage leaves no sign (docs/data-check.md): in these pixels it does.
    """
    argument = folder(tmp_path, IDS, ".png", "sky\nroad\ncar\n")
    noise = np.random.default_rng(0).integers(0, 60, (80, 120, 3), np.uint8)
    small = (np.linspace(60, 180, 120, dtype=np.uint8)[None, :, None] + noise).astype(np.uint8)
    big = cv2.resize(small, (640, 400), interpolation=cv2.INTER_CUBIC)
    whole, webp = by_opencv(".jpg", big), by_opencv(".webp", big)
    deep = cv2.cvtColor(big, cv2.COLOR_BGR2GRAY).astype(np.uint16)
    files = {
        "hole.jpg": whole[: len(whole) // 2] + whole[len(whole) // 2 + 4096 :],
        "end.jpg": whole[: len(whole) // 2] + whole[-2:],
        "overwritten.webp": webp[: len(webp) // 2] + bytes(range(256)) * 2 + webp[len(webp) // 2 + 512 :],
        "twelve.png": by_opencv(".png", deep * 16),
        "ten.tif": by_opencv(".tif", deep * 4),
    }
    for name, content in files.items():
        (tmp_path / "images" / name).write_bytes(content)
        cv2.imwrite(str(tmp_path / "masks" / f"{Path(name).stem}.png"), np.eye(400, 640, dtype=np.uint8))
    dataset = open_dataset(f"{argument}?group=.*")
    report = check_dataset(dataset)
    named = [line.partition(": damaged (")[0].rpartition("/")[2] for line in report.errors if ": damaged (" in line]
    assert sorted(named) == ["end.jpg", "hole.jpg", "overwritten.webp"]
    said = " ".join(report.warnings)
    assert "*.png: 16-bit pictures that do not say how many bits count are taken for 12" in said
    assert "*.tif: 16-bit pictures that do not say how many bits count are taken for 10" in said
    samples = {Path(sample.name).stem: sample for each in dataset.splits for sample in dataset.split(each)}
    for name in ("twelve", "ten"):
        assert np.array_equal(samples[name].read_image()[..., 0], cv2.cvtColor(big, cv2.COLOR_BGR2GRAY))


POLE = np.zeros((40, 40), bool)
POLE[:, 5:7] = True
RUNS = [200, 80, 1320]
POLES: dict[str, Any] = {"polygon": [[5, 0, 7, 0, 7, 40, 5, 40]], "rle": {"size": [40, 40], "counts": RUNS}, "box": []}


@pytest.mark.parametrize("kind", POLES)
def test_coco_pole(tmp_path: Path, kind: str) -> None:
    """See test_pycocotools.py, also for what is written. The hedge is labelled by crowds only."""
    write_picture(tmp_path / "a.png", 40, 40)
    pole = {"image_id": 1, "category_id": 1, "iscrowd": 0, "segmentation": POLES[kind], "bbox": [5, 0, 2, 40]}
    notes = [pole, *([{**pole, "category_id": 2, "iscrowd": 1}] if kind == "rle" else [])]
    images = [{"id": 1, "file_name": "a.png", "width": 40, "height": 40}]
    categories = [{"id": 1, "name": "pole"}, {"id": 2, "name": "hedge"}]
    (tmp_path / "a.json").write_text(json.dumps({"images": images, "annotations": notes, "categories": categories}))
    report, ids = checked(f"coco:{tmp_path / 'a.json'}")
    assert np.array_equal(ids == 0, POLE)
    crowds = [line for line in report.warnings if "crowds (iscrowd): 1 (hedge 1) in 1 picture" in line]
    assert len(crowds) == (kind == "rle")
    assert all("crowd=class" in line for line in crowds)


def labelme(root: Path, *shapes: dict[str, Any], encoding: str = "utf-8") -> str:
    write_picture(root / "a.png", 80, 120)
    document = {"shapes": shapes, "imagePath": "a.png", "imageHeight": 80, "imageWidth": 120}
    (root / "a.json").write_bytes(json.dumps(document, ensure_ascii=False).encode(encoding))
    return f"labelme:{root}"


def test_labelme_lines(tmp_path: Path) -> None:
    lane = {"label": "lane", "points": [[60, 40], [62, 60], [64, 80]], "shape_type": "linestrip"}
    argument = labelme(tmp_path, ROAD, lane)
    report, _ = checked(argument)
    assert [line for line in report.warnings if "linestrip: 1 (lane 1)" in line and "line_width=3" in line]
    report, ids = checked(f"{argument}?line_width=3")
    assert report.classes.names == ("Road", "lane")
    assert ids[60, 61:64].tolist() == [1, 1, 1]


def test_labelme_special_names(tmp_path: Path) -> None:
    void = {**ROAD, "label": "__ignore__", "points": [[0, 0], [120, 0], [120, 10], [0, 10]]}
    rest = {**ROAD, "label": "_background_", "points": [[0, 12], [120, 12], [120, 40], [0, 40]]}
    report, ids = checked(labelme(tmp_path, ROAD, void, rest))
    assert report.classes.names == ("Road", "_background_")
    assert [ids[5, 5], ids[11, 5], ids[20, 5], ids[60, 5]] == [255, 1, 1, 0]


def test_labelme_gbk(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not UTF-8 \\(as GBK it reads '\u9053\u8def'\\)"):
        open_dataset(labelme(tmp_path, {**ROAD, "label": "\u9053\u8def"}, encoding="gbk"))


def test_labelme_turned_only(tmp_path: Path) -> None:
    """X-AnyLabeling's type; its corners are turned already, so it is a polygon."""
    report, ids = checked(labelme(tmp_path, {**ROAD, "shape_type": "rotation", "direction": 0.3}))
    assert report.classes.names == ("Road",)
    assert (ids[60, 5], ids[20, 5]) == (0, 255)


def test_cvat(tmp_path: Path) -> None:
    car = shape("mask", "car", 1, rle="0, 8", left=10, top=50, width=4, height=2)
    text = cvat(image("a.png", car, polygon("road", "0,40;120,40;120,80;0,80"), width=120, height=80))
    write_cvat(tmp_path, text)
    write_picture(tmp_path / "images" / "a.png", 80, 120)
    report, ids = checked(f"cvat:{tmp_path}")
    assert report.classes.names == ("road", "car")
    assert ids[50:52, 10:14].tolist() == [[1] * 4] * 2
    assert (ids[40:] == 0).sum() == 40 * 120 - 8
    with pytest.raises(DataError, match=r"CVAT's own XML.*: read it as cvat:PATH"):
        open_dataset(f"voc-xml:{tmp_path}")
