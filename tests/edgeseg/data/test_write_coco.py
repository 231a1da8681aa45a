"""Class maps as COCO polygons: what is read back is what was written, and tools can take it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeseg.core.labels import ClassMap
from edgeseg.data.argument import open_dataset
from edgeseg.data.formats.coco import Coco
from edgeseg.data.tools.write_coco import CocoDocument

FOUR = ClassMap(("sky", "road", "car", "sign"), ((0, 0, 9), (9, 0, 0), (0, 9, 0), (9, 9, 9)))


def written(class_map: NDArray[np.uint8], folder: Path, min_area: int, tolerance: float) -> dict[str, Any]:
    document = CocoDocument(FOUR, min_area, tolerance)
    document.add("0.png", class_map, document.annotations_of(class_map))
    cv2.imwrite(str(folder / "0.png"), np.zeros((*class_map.shape, 3), np.uint8))
    (folder / "labels.json").write_text(json.dumps(document.document()))
    return document.document()


def read_back(folder: Path) -> NDArray[np.uint8]:
    dataset = Coco(str(folder / "labels.json"))
    assert dataset.classes.names == FOUR.names
    (split,) = dataset.splits
    (sample,) = dataset.split(split)
    return sample.read_class_map()


def rings() -> NDArray[np.uint8]:
    """Class 2 in a hole of class 1 in a hole of class 2, void in another hole, a line of one pixel, a single pixel."""
    class_map = np.zeros((60, 90), np.uint8)
    class_map[5:55, 5:55] = 2
    class_map[15:45, 15:45] = 1
    class_map[25:35, 25:35] = 2
    class_map[8:12, 8:50] = 255
    class_map[20, 60:80] = 3
    class_map[50, 85] = 3
    return class_map


def test_rings_lines_and_void_come_back_exactly(tmp_path: Path) -> None:
    document = written(rings(), tmp_path, 1, 0)
    np.testing.assert_array_equal(read_back(tmp_path), rings())
    names = [FOUR.names[each["category_id"] - 1] for each in document["annotations"]]
    assert names == ["sky", "car", "road", "car", "sign", "sign"]  # the largest first: small ones are drawn on top
    assert [each["bbox"] for each in document["annotations"]][-2:] == [[60, 20, 20, 1], [85, 50, 1, 1]]


def test_it_is_valid_coco(tmp_path: Path) -> None:
    document = written(rings(), tmp_path, 1, 0)
    assert document["images"] == [{"id": 1, "file_name": "0.png", "width": 90, "height": 60}]
    assert [(each["id"], each["name"]) for each in document["categories"]] == list(enumerate(FOUR.names, start=1))
    ids = [each["id"] for each in document["annotations"]]
    assert len(set(ids)) == len(ids)
    assert sum(each["area"] for each in document["annotations"]) == (rings() != 255).sum()
    for each in document["annotations"]:
        assert (each["image_id"], each["iscrowd"]) == (1, 0)
        x, y, width, height = each["bbox"]
        for polygon in each["segmentation"]:
            assert len(polygon) >= 6  # pycocotools takes four numbers for a box
            points = np.array(polygon).reshape(-1, 2)
            assert (points.min(axis=0).tolist(), points.max(axis=0).tolist()) == ([x, y], [x + width, y + height])


def test_small_regions_are_left_out_and_small_holes_filled(tmp_path: Path) -> None:
    class_map = np.zeros((40, 40), np.uint8)
    class_map[4:7, 4:7] = 1  # 9 pixels
    class_map[20:24, 20:24] = 2  # 16
    document = written(class_map, tmp_path, 10, 0)
    assert [each["area"] for each in document["annotations"]] == [40 * 40 - 25, 16]
    class_map[4:7, 4:7] = 0
    np.testing.assert_array_equal(read_back(tmp_path), class_map)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([0, 1, 2, 3, 255]), min_size=48, max_size=48), st.sampled_from([1, 2, 5]))
def test_any_map_comes_back_exactly(tmp_path_factory: pytest.TempPathFactory, ids: list[int], scale: int) -> None:
    class_map = np.array(ids, np.uint8).reshape(6, 8).repeat(scale, 0).repeat(scale, 1)
    class_map[0, 0] = 1
    folder = tmp_path_factory.mktemp("coco")
    written(class_map, folder, 1, 0)
    np.testing.assert_array_equal(read_back(folder), class_map)


def test_the_default_tolerance_keeps_99_percent_of_streets(tmp_path: Path) -> None:
    classes = open_dataset("scenes:").classes
    document = CocoDocument(classes, min_area=16, tolerance=1.0)
    samples = open_dataset("scenes:").split("val")[:3]
    points = 0
    for number, sample in enumerate(samples):
        image, class_map = sample.read()
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
        annotations = document.annotations_of(class_map)
        points += sum(len(each["segmentation"][0]) // 2 for each in annotations)
        document.add(f"{number}.png", class_map, annotations)
    (tmp_path / "labels.json").write_text(json.dumps(document.document()))
    dataset = Coco(str(tmp_path / "labels.json"))
    back = {Path(each.image).stem: each for split in dataset.splits for each in dataset.split(split)}  # type: ignore[attr-defined]
    for number, sample in enumerate(samples):
        agreement = (back[str(number)].read_class_map() == sample.read_class_map()).mean()
        assert agreement > 0.99
    assert points < 3 * 2000  # few enough for a person to move
